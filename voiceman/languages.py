"""What text needs to know about a language."""

# Written without spaces between words (openai/whisper `tokenizer.py` splits these by character).
WITHOUT_SPACES = frozenset({"zh", "ja", "th", "lo", "my", "yue"})
