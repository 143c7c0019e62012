"""What Whisper writes of the catalogue's Korean calls, mishearings included, is no crime.

The four recordings are `korean-calls` of `voiceman_export/catalogue.toml` (Apache-2.0): a hotel, a
shop, and an insurer who checks who is calling. Each text is one speaker's turn as whisper-base
wrote it, in one run or another; a whole call is heard as one turn where nobody told the speakers
apart.
"""

import pytest

from voiceman.analysis.crime_language import FINDING_WEIGHT, find

CALLS = {
    "ko-KR_BroadbandModel_sample1": [
        "4명 숙박할 건데, 호텔 대략 수름은 다 찾다고 하셔서 그런데 혹시 신글룸 두 개로 예약은 "
        "가능한가요?",
        "4명 숙박할 건데 호텔 대륙 수름은 다 찾다고 하셔서 그런데 혹시 신글룸 2개로 예약은 "
        "가능한가요?",
    ],
    "ko-KR_BroadbandModel_sample2": [
        "제가 정호 이전에 입금 완료를 했는데요. 당일배송 가능한 상품인가요? 당일배송 가능하면 제가 "
        "몇 시쯤 수령할 수 있을까요?",
    ],
    "ko-KR_NarrowbandModel_sample1": [
        "안녕하세요 고객님. 한 명 모험사 상감합니다. 무엇을 도와드릴까요?",
        "근데 고객님 그러시면 본인 확인을 위하여 고객님의 개인 정보를 여쭙겠습니다.",
        "고객님의 성함이 어떻게 되시나요?",
        "네 고객님 주민 목상에 앞에 6자리 생년월일 말씀 부탁드립니다.",
        "가입시 등록하신 휴대폰번호 13자리를 말씀해 주십시오. 본인 확인 되셨습니다. 감사합니다.",
    ],
    "ko-KR_NarrowbandModel_sample2": [
        "안녕하세요. 신이 거 고객님. 무엇을 도와드릴까요?",
        "네 안녕하세요 네",
        "고객님 먼저 본인 하기는 위하여 고객님의 개인정보를 여쭙겠습니다.",
        "고객님의 성함은 어떻게 빛나요? 네.",
        "주민 등록상의 6절의 생년월일 말씀 부탁드립니다.",
        "가이씨 등록하신 휴대폰번호 13절에 를 말씀해 주십시오. 네.",
        "본인 하긴 되셨습니다.",
    ],
}


@pytest.mark.parametrize("name", CALLS)
def test_no_turn_of_a_real_call_and_no_whole_one_is_a_finding(name: str):
    turns = CALLS[name]
    hits = {text: find(text, "ko") for text in [*turns, " ".join(turns)]}
    found = {
        text: [hit.pattern_id for hit in of_text if hit.weight >= FINDING_WEIGHT]
        for text, of_text in hits.items()
    }
    assert found == {text: [] for text in found}
