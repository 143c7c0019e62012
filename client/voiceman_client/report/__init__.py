"""Reports for people: one HTML page and one PDF per result, and one of each over a case.

`view` makes of a result what is shown, `case` does so for many; `charts`
draws; `page` (HTML) and `pdf` lay out; `messages` holds every text in Korean and English;
`command` is `voiceman-client report`. Jinja and ReportLab come with the extra `report`.
"""
