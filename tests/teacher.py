"""A language model that answers by what it is asked: values that fit the schema of a request, by its content."""

import hashlib
import json

WORDS = "river stone copper lamp winter orchard signal harbour velvet engine paper mountain glass feather market"
WORDS = WORDS.split()
CITY = {
    "name": "get_weather",
    "description": "The weather of a city.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 1}},
        "required": ["city"],
        "additionalProperties": False,
    },
}


def words(seed, count):
    digest = hashlib.sha256(str(seed).encode()).digest()
    return " ".join(
        WORDS[digest[place % 32] % len(WORDS)] + str(digest[(place * 7 + 3) % 32]) for place in range(count)
    )


def han(seed, count):
    digest = hashlib.sha256(str(seed).encode()).digest()
    return "".join(chr(0x4E00 + digest[place % 32] * 40 + place) for place in range(count))


def made_of(schema, seed):
    """A value that fits a schema, by the seed."""
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][int(hashlib.sha256(str(seed).encode()).hexdigest(), 16) % len(schema["enum"])]
    if "anyOf" in schema:
        return made_of(schema["anyOf"][len(str(seed)) % len(schema["anyOf"])], seed)
    match schema["type"]:
        case "object":
            return {name: made_of(one, f"{seed}.{name}") for name, one in schema["properties"].items()}
        case "array":
            return [made_of(schema["items"], f"{seed}.{place}") for place in range(schema.get("minItems", 1))]
        case "integer" | "number":
            return 3
        case "boolean":
            return True
        case "string" if "pattern" in schema:
            return "tool_" + words(seed, 1)
    return words(seed, 12)


def seed_of(request):
    return json.dumps([request["messages"], request.get("seed")], ensure_ascii=False)


def answer(request):
    if "response_format" not in request:
        return f"The answer is {words(seed_of(request), 9)}."
    described = request["response_format"]["json_schema"]
    value = made_of(described["schema"], seed_of(request))
    if "语言:中文" in request["messages"][-1]["content"]:
        value["request"] = han(seed_of(request), 20)
    return json.dumps(value, ensure_ascii=False)


def prompts(*texts):
    return "".join(json.dumps({"prompt": text}) + "\n" for text in texts)


def said(request):
    return request["messages"][-1]["content"]
