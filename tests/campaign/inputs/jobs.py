"""Job files, records in PNG and JSON files, and manifests, that are wrong in any way."""

from __future__ import annotations

import csv
import io
import json
from copy import deepcopy
from pathlib import Path
from random import Random
from typing import Any

import tomli_w
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as hypothesis_seed
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin
from stylectl.core.job.options.table import OPTIONS

from ..judge import Attempt, judged
from ..place import Place
from .mutations import damaged
from .samples import SMALL, with_copies, with_images

_RECORD = Path(__file__).parents[2] / "fixtures/v0_1/run.json"

#: Texts that mean something to a file system, a shell, a terminal or a parser.
TEXTS = (
    *(
        "",
        " ",
        ".",
        "..",
        "/",
        "~",
        "-",
        "none",
        "auto",
        "nan",
        "-inf",
        "1e400",
        "0x10",
        "9" * 5000,
    ),
    *(
        "\0",
        "a\0b",
        "\x1b[2J",
        "\u202e",
        "\ud83d\ude00" * 300,
        "x" * 5000,
        "{0}",
        "%s",
        "$(touch canary)",
    ),
    *("//host/share/a.png", r"\\host\share\a.png", "/dev/zero", "/dev/stdin", "/proc/self/mem"),
    *("CON", "C:\\a.png", "file:///etc/passwd", "http://localhost:1/a.png", "/etc/passwd"),
    *("../photo.png", "photo.png", "painting.png", "missing.png", ".", "sample:photo", "sample:x"),
)

_NUMBERS = st.one_of(
    st.integers(-3, 30),
    st.sampled_from([0.0, -0.0, 0.5, 1e-45, 1e22, 1e38, 1e300, 2**31, 2**63 - 1]),
    st.floats(),
)
_LARGE = st.sampled_from([2**63, 2**64, -(2**63) - 1, 10**310, 10**4000])
_SCALARS = st.one_of(
    *(st.none(), st.booleans(), _NUMBERS, _NUMBERS, _NUMBERS, _LARGE),
    *(st.text(max_size=20), st.sampled_from(TEXTS)),
)
#: Any value of a TOML or JSON file.
VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=5), st.dictionaries(st.text(max_size=8), inner, max_size=5)
    ),
    max_leaves=12,
)


def drawn(random: Random, strategy: st.SearchStrategy[Any], examples: int = 8) -> Any:
    """Return an example of a strategy. The first ones that hypothesis makes are the simplest."""
    values: list[Any] = []

    @hypothesis_seed(random.getrandbits(64))
    @settings(
        max_examples=examples,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def collect(value: Any) -> None:
        values.append(value)

    collect()
    return random.choice(values)


def attempt_job(random: Random, place: Place) -> Attempt:
    """Give a wrong job file, or a wrong record of a run, to `run` or `show`."""
    return _attempt(random, place, random.choice([".toml", ".toml", ".json"]))


def attempt_metadata(random: Random, place: Place) -> Attempt:
    """Give an image whose metadata has a wrong record to `run` or `show`."""
    return _attempt(random, place, ".png")


def _attempt(random: Random, place: Place, kind: str) -> Attempt:
    with_images(place)
    with_copies(place, "out.png")
    table = good_job()
    for _ in range(random.randint(1, 3)):
        _spoil(random, table)
    match kind:
        case ".toml":
            data = toml_bytes(table)
        case ".json":
            data = _record(random, table)
        case _:
            data = _png(random, table)
    how = "wrong values"
    if random.random() < 0.2:
        how, data = damaged(random, data)
    elif kind != ".png" and random.random() < 0.2:
        how, data = _encoded(random, data)
    (place.work / f"job{kind}").write_bytes(data)
    before = place.files()
    small = ("--size", "32", "--iterations", "1", "--device", "cpu")
    command, outputs = random.choice(
        [
            (("run", "--job", f"job{kind}", *small, "-o", "out.png"), ["out.png"]),
            (("run", "--job", f"job{kind}", *small, "-o", "out.png"), ["out.png"]),
            (("run", "--job", f"job{kind}", "--print-job"), []),
            (("show", f"job{kind}"), []),
            (("show", f"job{kind}", "--json"), []),
        ]
    )
    outcome = place.run(*command)
    return judged(f"{how} in job{kind}: {' '.join(command)}", place, before, outcome, outputs)


def attempt_manifest(random: Random, place: Place) -> Attempt:
    """Give a wrong manifest to `batch`."""
    with_images(place)
    kind = random.choice([".csv", ".toml", ".json"])
    if kind == ".csv":
        data = _csv(random)
    else:
        pictures = [{"content": "photo.png", "style": "painting.png"} for _ in range(2)]
        for _ in range(random.randint(1, 3)):
            key = random.choice(["content", "style", "styles", "output", *OPTIONS])
            random.choice(pictures)[key] = drawn(random, VALUES)
        table = {random.choice(["pictures"] * 5 + ["picture"]): pictures}
        data = toml_bytes(table) if kind == ".toml" else json.dumps(table).encode()
    how = "wrong values"
    if random.random() < 0.3:
        how, data = damaged(random, data)
    elif random.random() < 0.4:
        how, data = _encoded(random, data)
    (place.work / f"list{kind}").write_bytes(data)
    with_copies(place, "out/old.png")
    before = place.files()
    more = random.choice([(), (), ("--dry-run",), ("--json",)])
    command = ("batch", "--manifest", f"list{kind}", "-o", "out", *SMALL, *more)
    outcome = place.run(*command)
    what = f"{how} in list{kind}: {' '.join(command)}"
    return judged(what, place, before, outcome, optional=["out/*"])


def good_job() -> dict[str, Any]:
    """Return a good job, as a run writes it."""
    job: dict[str, Any] = json.loads(_RECORD.read_text())["job"]
    for term in job["terms"]:
        if "layers" in term:
            term["layers"] = {"relu1_1": 1.0}
    return {**job, "content": "photo.png", "styles": [{"image": "painting.png"}]}


def _spoil(random: Random, table: dict[str, Any]) -> None:
    """Put a wrong value, or a key too many, somewhere into a table."""
    container = random.choice(_containers(table)[:100])
    value = drawn(random, random.choice([VALUES, _SCALARS, _NUMBERS]))
    if random.random() < 0.05:
        for _ in range(random.choice([50, 900, 3000])):
            value = [value]
    if isinstance(container, list):
        container.insert(random.randint(0, len(container)), value)
    elif container and random.random() < 0.7:
        container[random.choice(list(container))] = value
    else:
        container[
            random.choice([*OPTIONS, "plugins", "preset", "name", drawn(random, st.text())])
        ] = value


def _containers(table: dict[str, Any]) -> list[Any]:
    """Return the tables and lists in a table, itself among them, with the outer ones first."""
    found: list[Any] = [table]
    for value in found:
        inner = value.values() if isinstance(value, dict) else value
        found += [each for each in inner if isinstance(each, dict | list)]
    return found


def toml_bytes(table: dict[str, Any]) -> bytes:
    """Return a table as TOML, without the None in it."""
    try:
        return tomli_w.dumps(_for_toml(table)).encode("utf-8", "surrogatepass")
    except RecursionError:
        return b"size = " + b"[" * 3000


def _for_toml(value: Any) -> Any:
    """Return a value without None, which TOML does not have."""
    if isinstance(value, dict):
        return {key: _for_toml(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [_for_toml(inner) for inner in value if inner is not None]
    return value


def _record(random: Random, table: dict[str, Any]) -> bytes:
    record = json.loads(_RECORD.read_text())
    record["job"] = table
    if random.random() < 0.3:
        _spoil(random, record)
    try:
        return json.dumps(record).encode()
    except (RecursionError, ValueError):  # too deep; more digits than Python writes
        return b'{"job": {"size": ' + b"9" * 5000 + b', "content": ' + b"[" * 100_000


def _png(random: Random, table: dict[str, Any]) -> bytes:
    info, buffer = PngImagePlugin.PngInfo(), io.BytesIO()
    add = random.choice([info.add_text, info.add_itxt])
    add("stylectl", _record(random, table).decode("latin-1"), zip=random.random() < 0.5)  # type: ignore[operator]
    Image.new("RGB", (9, 9)).save(buffer, "PNG", pnginfo=info)
    return buffer.getvalue()


def _encoded(random: Random, data: bytes) -> tuple[str, bytes]:
    """Return the name of an encoding, and the text in it."""
    text = data.decode("utf-8", "surrogatepass").replace("photo", "phötö")
    encoding = random.choice(["utf-8-sig", "utf-16", "utf-16-be", "utf-32", "latin-1", "utf-8"])
    ends = random.choice(["\n", "\r\n", "\r"])
    name = f"{encoding} with lines that end in {ends!r}"
    return name, text.replace("\n", ends).encode(encoding, "replace")


def _csv(random: Random) -> bytes:
    columns = ["content", "style", "output"]
    columns += random.sample([*OPTIONS, "", "x" * 3000, "\x1b[31m", "output"], random.randint(0, 3))
    rows = []
    for number in range(random.randint(0, 4)):
        row = ["photo.png", "painting.png", f"{number}.png"]
        row += [_cell(random) for _ in columns[3:]]
        if random.random() < 0.6:
            row[random.randrange(3)] = _cell(random)
        rows.append(
            row[: random.choice([len(row)] * 5 + [1, 2])] + [""] * random.choice([0, 0, 0, 5])
        )
    random.shuffle(columns) if random.random() < 0.2 else None
    buffer = io.StringIO()
    dialect = {"delimiter": random.choice(",;\t|,,"), "quotechar": '"', "escapechar": "\\"}
    csv.writer(buffer, quoting=csv.QUOTE_MINIMAL, **dialect).writerows([columns, *deepcopy(rows)])  # type: ignore[arg-type]
    return buffer.getvalue().encode("utf-8", "surrogatepass")


def _cell(random: Random) -> str:
    return random.choice(
        [*TEXTS, "../../up.png", "a/b/c.png", "out.xyz", '"', "a\nb", "5", "0.5,2"]
    )
