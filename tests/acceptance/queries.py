"""What README shows in SQL."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def queries_of_the_readme() -> list[str]:
    """Return each query of README, as it stands there."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return re.findall(r"^```sql\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
