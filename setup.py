"""Builds the package with colcon (``colcon build``) as ROS users do, or with pip."""

from pathlib import Path

from setuptools import find_packages, setup

NAME = "esc_robot"
NODES = sorted(path.stem for path in Path(NAME, "nodes").glob("[a-z]*.py") if path.stem != "base")


def files_under(folder: str) -> list[tuple[str, list[str]]]:
    """(install folder, files) of every folder below, as ``data_files`` wants them."""
    folders = [path for path in [Path(folder), *sorted(Path(folder).rglob("*"))] if path.is_dir()]
    return [(f"share/{NAME}/{path}", [str(file) for file in sorted(path.iterdir()) if file.is_file()])
            for path in folders]


setup(
    name=NAME,
    version="0.1.0",
    packages=find_packages(include=[NAME, f"{NAME}.*"]),
    package_data={f"{NAME}.web": ["static/*"], f"{NAME}.listening": ["vosk-esc-en/**/*"],
                  f"{NAME}.dialogue": ["data/*", "data/adapter/*"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (f"share/{NAME}", ["package.xml", "README.md", "LICENSE", "requirements.txt", "constraints.txt"]),
        *files_under("launch"),
        *files_under("config"),
    ],
    python_requires=">=3.11",
    zip_safe=False,
    maintainer="esc_robot maintainers",
    maintainer_email="maintainers@users.noreply.r-seed-7b4a51ed.example",
    description="A humanoid robot that listens, understands and answers with care, on its own hardware.",
    license="Apache-2.0",
    entry_points={"console_scripts": [f"{node} = {NAME}.nodes.{node}:main" for node in NODES]
                  + [f"fetch_models = {NAME}.assets:main"]},
)
