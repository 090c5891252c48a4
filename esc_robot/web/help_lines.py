"""Whom to call: the crisis lines of config/care/lines.yaml as the page shows them, always in sight."""

import yaml

from esc_robot.assets import config
from esc_robot.errors import Problem


def help_lines(country: str) -> dict:
    """``here``: the entry of the robot's country (emergency; line and number where it has one); ``elsewhere``: the
    others.

    Raises Problem for a country that the file does not have.
    """
    lines = yaml.safe_load(config("care/lines.yaml").read_text())
    if country not in lines:
        raise Problem("country", country, f"not in config/care/lines.yaml; use one of {', '.join(sorted(lines))}")
    entries = {key: {"country": key, **entry} for key, entry in lines.items()}
    elsewhere = [entry for key, entry in sorted(entries.items()) if key not in (country, "default") and "line" in entry]
    return {"here": entries[country], "elsewhere": elsewhere}
