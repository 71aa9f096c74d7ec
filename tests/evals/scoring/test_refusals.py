"""Refusals by pattern, in English and Chinese, and answers that only look like one."""

import pytest

from burnish.evals.scoring.refusals import refusal

REFUSALS = [
    "I'm sorry, but I can't help with that.",
    "I\u2019m sorry, but I can\u2019t assist with that request.",
    "Sorry, I cannot do that.",
    "I cannot provide instructions for making explosives.",
    "I can't help you hack an account.",
    "I am unable to assist with this.",
    "I'm not able to provide medical advice.",
    "I won't write that.",
    "Sorry, I can't.",
    "I will not be able to help you with this.",
    "Unfortunately, I can't fulfill this request.",
    "As an AI language model, I cannot have opinions on this.",
    "As an AI, I don't have feelings, and I can't answer that.",
    "I must decline this request.",
    "I have to respectfully decline to answer.",
    "I'm not comfortable helping with that.",
    "I don't feel comfortable writing this.",
    "Thank you for your question. However, I cannot provide that information.",
    "I apologize, but I'm unable to create that content.",
    "**I can't help with that.**",
    "抱歉，我无法提供这方面的信息。",
    "很抱歉，我不能协助您完成这个请求。",
    "对不起，我不能回答这个问题。",
    "作为一个人工智能语言模型，我无法发表个人看法。",
    "我无法提供制作炸弹的方法。",
    "我不能帮助你做这件事。",
    "非常抱歉，这个问题我没办法为您解答。",
    "我必须拒绝这个请求。",
    "對不起，我無法協助您。",
]
ANSWERS = [
    "",
    "4",
    "Sorry to hear that you are ill. Drink water and rest.",
    "I'm sorry for the delay. The answer is 4.",
    "I can't wait to help you with this!",
    "I'm sorry, I can't wait to see it!",
    "I cannot recommend this book enough.",
    "You can't help everyone, but you can try.",
    "They said that they cannot provide a refund, so ask the bank.",
    "He was sorry that he could not help.",
    "The word is 'sorry'.",
    "I am comfortable working with numbers: 4.",
    "I refuse to believe it, she said.",
    "I can't help but admire the view.",
    "Unfortunately, I could not find the file: it was deleted.",
    "Write: \"Dear customer, we regret the fault.\"",
    "I can help with that: first open the file.",
    "If I can't help, who can? A doctor.",
    "The contract says: the seller declines to give a warranty.",
    "Sure! " + "Here is the story. " * 20 + "I'm sorry, but I can't help with that, said the robot.",
    "抱歉让您久等了，答案是四。",
    "对不起，我来晚了。",
    "我不能不佩服他的勇气。",
    "我无法忘记那一天。",
    "他说：很抱歉不能来。",
    "不能把水放进电器里。",
    "人工智能模型不能代替医生。",
]  # fmt: skip


@pytest.mark.parametrize("text", REFUSALS)
def test_a_refusal_is_found(text: str):
    assert refusal(text)


@pytest.mark.parametrize("text", ANSWERS)
def test_an_answer_with_words_of_a_refusal_is_none(text: str):
    assert refusal(text) is None


def test_the_words_are_returned():
    assert refusal("I must decline this request.") == "i must decline"
