"""Words for tokenizers as small as their models: what captions and their JSON are made of."""

import json
import random
from collections.abc import Iterator

VOCABULARY = """
a the in on of and with near behind two three person people woman man child dog car bus street city room kitchen forest sky sea
night day red green blue white black bright dark walks runs sits stands talks cooks drives holds looks video clip frame image
picture camera close wide shot text sign logo brand describe description objects actions environment content type specific style
production quality summary documentary amateur professional high low list short string answer only valid JSON object following keys
"""


def sentences(count: int = 3000) -> Iterator[str]:
    """Draw the same sentences each time, every other one as JSON."""
    draw, words = random.Random(0), VOCABULARY.split()  # noqa: S311 - no secret
    for _ in range(count):
        yield " ".join(draw.choices(words, k=draw.randint(3, 14))) + draw.choice(".,!?\n")
        yield json.dumps({draw.choice(words): draw.choices(words, k=draw.randint(0, 4)), "n": draw.randint(0, 9999)})
