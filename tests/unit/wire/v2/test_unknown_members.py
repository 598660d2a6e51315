import json
from typing import Any

from sottovoce.wire.v2.unknown_members import MAX_TOLD, unknown_members


def told(**members: Any) -> list[str]:
    return unknown_members(json.dumps({"type": "transcription", **members}).encode())


def test_a_misspelt_member_is_told_with_the_nearest_name() -> None:
    assert told(transcription_config={"language": "en", "diarisation": "speaker"}) == [
        "the config member 'transcription_config.diarisation' is unknown and has no effect; the nearest known name is 'diarization'"
    ]


def test_members_at_every_depth_are_found() -> None:
    found = told(
        transcription_config={
            "language": "en",
            "additional_vocab": [{"content": "x"}, {"content": "y", "sound_like": []}],
            "transcript_filtering_config": {"remove_disfluency": True},
        },
        zzz=1,
    )
    assert [line.split("'")[1] for line in found] == [
        "transcription_config.additional_vocab.sound_like",
        "transcription_config.transcript_filtering_config.remove_disfluency",
        "zzz",
    ]
    assert found[-1] == "the config member 'zzz' is unknown and has no effect"


def test_known_members_and_free_data_are_not_told() -> None:
    assert (
        told(
            transcription_config={"language": "en", "operating_point": "enhanced", "max_delay": 2},
            tracking={"title": "t", "details": {"anything": {"goes": 1}}},
            sentiment_analysis_config={},
            output_config=None,
        )
        == []
    )
    assert unknown_members(b'\xef\xbb\xbf{"type": "transcription"}') == []


def test_the_list_and_the_names_are_short() -> None:
    found = told(**{f"{n}{'x' * 500}": 1 for n in range(50)})
    assert len(found) == MAX_TOLD
    assert all(len(line) < 200 for line in found)
