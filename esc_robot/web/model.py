"""A robot's URDF as the page draws it: links, joints and meshes as plain data."""

import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

from esc_robot.body.profile import RobotProfile, package_folder

GREY = [0.7, 0.7, 0.7]


@dataclass(frozen=True)
class RobotDrawing:
    """description: JSON for the page. meshes: STL files, by the number that the description gives them. joints:
    those that move, in the order in which the page is told their positions (rad or m)."""

    description: dict
    meshes: tuple[Path, ...]
    joints: tuple[str, ...]


def robot_drawing(profile: RobotProfile, pose: dict[str, float] | None = None) -> RobotDrawing | None:
    """The drawing of a profile's robot; None where it names no URDF. Links stand parents first; xyz in m, rpy in
    rad. pose: where joints are (rad) until the page is told; those left out are at rest."""
    if profile.urdf is None:
        return None
    root = ElementTree.parse(profile.urdf).getroot()
    colours = {name: _rgb(colour) for material in root.iter("material") if (name := material.get("name"))
               and (colour := material.find("color")) is not None}
    by_child = {joint.find("child").get("link"): joint for joint in root.findall("joint")}
    meshes: dict[Path, int] = {}
    links, moving = [], []
    numbers: dict[str, int] = {}
    for link in _parents_first(root, by_child):
        name, joint = link.get("name"), by_child.get(link.get("name"))
        numbers[name] = len(links)
        links.append({"name": name, "parent": -1 if joint is None else numbers[joint.find("parent").get("link")],
                      "joint": None if joint is None else _joint(joint),
                      "visuals": [_visual(visual, profile.urdf, meshes, colours) for visual in link.findall("visual")]})
        if joint is not None and joint.get("type") != "fixed" and joint.find("mimic") is None:
            moving.append(joint.get("name"))
    still = {**profile.stance, **profile.rest, **(pose or {})}
    description = {"links": links, "meshes": len(meshes), "joints": moving, "view": profile.view,
                   "pose": [round(still.get(joint, 0.0), 4) for joint in moving]}
    return RobotDrawing(description, tuple(meshes), tuple(moving))


def _parents_first(root, by_child: dict) -> list:
    children: dict[str, list[str]] = {}
    for child, joint in by_child.items():
        children.setdefault(joint.find("parent").get("link"), []).append(child)
    links = {link.get("name"): link for link in root.findall("link")}
    ordered = [name for name in links if name not in by_child]
    for name in ordered:
        ordered.extend(children.get(name, []))
    return [links[name] for name in ordered]


def _joint(joint) -> dict:
    axis, mimic = joint.find("axis"), joint.find("mimic")
    found = {"name": joint.get("name"), "type": joint.get("type"), **_origin(joint),
             "axis": _numbers(axis.get("xyz")) if axis is not None else [1, 0, 0]}
    if mimic is not None:
        found["mimic"] = [mimic.get("joint"), float(mimic.get("multiplier", 1)), float(mimic.get("offset", 0))]
    return found


def _visual(visual, urdf: Path, meshes: dict[Path, int], colours: dict) -> dict:
    shape = visual.find("geometry")[0]
    material = visual.find("material")
    colour = GREY
    if material is not None:
        own = material.find("color")
        colour = _rgb(own) if own is not None else colours.get(material.get("name"), GREY)
    found = {**_origin(visual), "colour": colour}
    if shape.tag == "mesh":
        package, _, inside = shape.get("filename").removeprefix("package://").lstrip("/").partition("/")
        path = package_folder(package, urdf) / inside
        found |= {"mesh": meshes.setdefault(path, len(meshes)), "scale": _numbers(shape.get("scale", "1 1 1"))}
    elif shape.tag == "box":
        found["box"] = _numbers(shape.get("size"))
    elif shape.tag == "cylinder":
        found["cylinder"] = [float(shape.get("radius")), float(shape.get("length"))]
    else:
        found["sphere"] = float(shape.get("radius"))
    return found


def _origin(element) -> dict:
    origin = element.find("origin")
    given = {} if origin is None else origin.attrib
    return {key: _numbers(given.get(key, "0 0 0")) for key in ("xyz", "rpy")}


def _rgb(colour) -> list[float]:
    return _numbers(colour.get("rgba"))[:3]


def _numbers(text: str) -> list[float]:
    return [float(number) for number in text.split()]
