"""Good texts of every script and kind are kept by default, odd ones break no filter, and filters can be pickled."""

import inspect
import pickle

import numpy as np
import pytest

from burnish.data.filters.table import block_filters
from burnish.data.texts.block import Block
from burnish.specs.base import Spec, watch
from burnish.specs.data import FiltersSpec
from filtering import ODD, default_reasons

GOOD = {
    "English": "The river rises in the hills above the town and flows south for forty miles. In spring it floods the "
    "meadows, and the farmers move their cattle to higher ground. There has been a bridge here since 1420.",
    "Chinese": "这条河发源于城镇上方的山丘，向南流淌四十英里。春天，河水淹没草地，农民们把牛赶到高处。"
    "自1420年以来，这里就有一座桥。",
    "Japanese": "この川は町の上の丘から流れ出し、南へ四十マイル流れています。"
    "春には牧草地が水に浸かり、農家は牛を高台に移します。",
    "Korean": "이 강은 마을 위 언덕에서 시작하여 남쪽으로 사십 마일을 흐릅니다. "
    "봄에는 초원이 물에 잠기고 농부들은 소를 옮깁니다.",
    "Thai": "แม่น้ำสายนี้เริ่มต้นจากเนินเขาเหนือเมืองและไหลไปทางใต้สี่สิบไมล์ ในฤดูใบไม้ผลิน้ำท่วมทุ่งหญ้า",
    "Arabic": "ينبع النهر من التلال فوق المدينة ويتدفق جنوبا لمسافة أربعين ميلا. في الربيع تغمر المياه المروج وينقل "
    "المزارعون ماشيتهم إلى أرض مرتفعة.",
    "Hindi": "यह नदी शहर के ऊपर की पहाड़ियों से निकलती है और चालीस मील दक्षिण की ओर बहती है। वसंत में घास के मैदान डूब जाते हैं।",
    "Russian": "Река берёт начало в холмах над городом и течёт на юг сорок миль. Весной она затапливает луга.",
    "French": "La rivière prend sa source dans les collines au-dessus de la ville ; "
    "elle est célèbre pour ses « crues ».",
    "code": inspect.getsource(block_filters) + inspect.getsource(Block),
    "Markdown": "# Install\n\nRun the command below in a shell:\n\n"
    "```sh\npip install burnish\n```\n\n- fast\n- small\n",
    "table": "| name | price | unit |\n|---|---|---|\n| apples | 1.20 | kg |\n"
    "| pears | 2.50 | kg |\n| plums | 3.00 | kg |\n",
    "poem": "Tyger Tyger, burning bright,\nIn the forests of the night;\nWhat immortal hand or eye,\nCould frame thy "
    "fearful symmetry?",
    "sum": "Ada has 3 boxes with 12 pencils each. She gives 7 away. How many are left?\n"
    "3 * 12 = 36\n36 - 7 = 29\n#### 29",
    "emoji": "We won the cup tonight 🎉🎉 and the whole street is out dancing ❤️ see you tomorrow 😀",
}


@pytest.mark.parametrize("name", GOOD)
def test_a_good_text_is_kept(name):
    assert default_reasons(GOOD[name]) == []


def test_no_filter_breaks_on_odd_texts_alone_or_together():
    spec = FiltersSpec.model_validate(
        {"c4": {}, "fineweb": {}, "words": {"entries": ["x y"]}, "urls": {"entries": ["a.b"]}}
    )
    for drop in block_filters(spec, "document"):
        together = drop(Block(ODD))
        for i, text in enumerate(ODD):
            alone = {reason for reason, dropped in drop(Block([text])).items() if dropped[0]}
            assert alone == {reason for reason, dropped in together.items() if dropped[i]}, (drop, text[:20])
        assert all(dropped.shape == (0,) for dropped in drop(Block([])).values())


def test_filters_can_be_pickled_and_then_say_the_same():
    spec = FiltersSpec.model_validate(
        {
            "c4": {},
            "fineweb": {},
            "language": {"keep": ["en"]},
            "words": {"entries": ["river", "牛"]},
            "urls": {"entries": ["example.com"]},
        }
    )
    block = Block([*GOOD.values(), "see https://example.com/x"])
    for drop in block_filters(spec, "document"):
        again = pickle.loads(pickle.dumps(drop))(block)
        for reason, dropped in drop(block).items():
            np.testing.assert_array_equal(dropped, again[reason])


def test_every_setting_of_documents_is_read_before_the_first_text():
    """Blocks are judged in other processes, where reads are not seen."""
    seen = []
    entries = {"entries": ["x"]}
    listed = {"c4": {}, "fineweb": {}, "language": {"keep": ["en"]}, "words": entries, "urls": entries}
    spec = FiltersSpec.model_validate(listed)
    unwatch = watch(lambda of, name: seen.append((type(of).__name__, name)))
    block_filters(spec, "document")
    unwatch()
    everything = {(type(spec).__name__, name) for name in FiltersSpec.model_fields}
    for _, child in ((name, value) for name, value in spec.__dict__.items() if isinstance(value, Spec)):
        everything |= {(type(child).__name__, name) for name in type(child).model_fields}
    assert everything - set(seen) == {("FiltersSpec", "conversations_as_documents")}


def test_conversations_are_not_judged_as_documents():
    chat = "lol\n\nhaha"
    log = "\n".join(f"2023-11-05 10:11:{second} INFO worker - task {second} done" for second in range(10, 40))
    assert default_reasons(chat, "conversation") == []
    assert default_reasons(f"What is wrong?\n\n{log}", "conversation") == []
    assert default_reasons(log) == ["mostly lines of a log"]
    menu = "Home\nAbout us\nContact\n" * 20
    assert default_reasons(f"{menu}\n\nyes", "conversation") == []
    assert len(default_reasons(f"{menu}\n\nyes")) > 1
    judged = block_filters(FiltersSpec(conversations_as_documents=True), "conversation")
    assert any(dropped[0] for drop in judged for dropped in drop(Block([log])).values())
    assert default_reasons("Ã¤Ã¶Ã¼ sind Ã¼blich", "conversation") == ["wrong encoding"]
