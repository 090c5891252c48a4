"""A robot as MuJoCo sees it: pictures of a pose, and which links touch.

MuJoCo draws without a screen through OSMesa (Debian: libosmesa6); MUJOCO_GL chooses another way, such as egl.
"""

import io
import os
import re
import xml.etree.ElementTree as ElementTree
from functools import lru_cache

import numpy as np
from PIL import Image

from esc_robot.body.profile import RobotProfile, load_profile, package_folder
from esc_robot.errors import Problem

os.environ.setdefault("MUJOCO_GL", "osmesa")

_NEIGHBOURS = 2   # links this few joints apart meet at their hulls in every pose: no collision
_FINER = 2        # drawn this much larger and averaged: OSMesa has no antialiasing
_REACH = 1.0      # metres up to which a gap is measured


class RobotModel:
    """A profile's URDF in MuJoCo. One model is for one thread: drawing holds an OpenGL context."""

    def __init__(self, profile: RobotProfile):
        if profile.urdf is None:
            raise Problem("robot model", profile.name, "the profile names no URDF, so there is nothing to draw")
        mujoco = _mujoco()
        self._mujoco, self.profile = mujoco, profile
        spec = mujoco.MjSpec.from_string(_urdf_text(profile))
        _light(mujoco, spec)
        try:
            self.model = spec.compile()
        except ValueError as error:
            raise Problem("robot model", profile.urdf.name, "MuJoCo cannot load it, so it is not drawn: "
                          f"{' '.join(str(error).split())}; it reads STL and OBJ meshes") from None
        self.data = mujoco.MjData(self.model)
        self._mimics = _mimics(profile)
        self._hands = self._below_wrists()

    def place(self, positions: dict[str, float]) -> None:
        """Puts the joints (rad) there; those left out stand as in the profile's stance, or at zero."""
        values = {**self.profile.stance, **positions}
        for joint, (leader, factor, offset) in self._mimics.items():
            values[joint] = factor * values.get(leader, 0.0) + offset
        for joint, value in values.items():
            self.data.joint(joint).qpos[0] = value
        self._mujoco.mj_forward(self.model, self.data)

    def picture(self, positions: dict[str, float], width: int = 960, height: int = 720) -> np.ndarray:
        """The upper body from the front, slightly from the side: uint8 [height, width, 3]."""
        self.place(positions)
        mujoco, camera = self._mujoco, self._mujoco.MjvCamera()
        view = self.profile.view
        camera.lookat, camera.distance, camera.azimuth = view["look_at"], view["distance"], view["azimuth"]
        camera.elevation = view["elevation"]
        visual = mujoco.MjvOption()
        visual.geomgroup[:] = [0, 1, 1, 0, 0, 0]
        with mujoco.Renderer(self.model, _FINER * height, _FINER * width) as renderer:
            renderer.update_scene(self.data, camera, visual)
            fine = Image.fromarray(renderer.render())
        return np.asarray(fine.resize((width, height), Image.Resampling.BOX))

    def touching(self, positions: dict[str, float]) -> list[tuple[str, str]]:
        """Pairs of links, by name, that are not neighbours and whose collision hulls overlap."""
        self.place(positions)
        pairs = set()
        for contact in self.data.contact:
            first, second = sorted(self.model.geom_bodyid[[contact.geom1, contact.geom2]].tolist())
            if contact.dist < 0 and not self._neighbours(first, second):
                pairs.add((self.model.body(first).name, self.model.body(second).name))
        return sorted(pairs)

    def gap(self, side: str, link: str) -> float:
        """Metres between the hand of a side and a link, as the joints were last placed; below 0 they overlap."""
        hand = [body for body, of in self._hands.items() if of == side]
        target = self.model.body(link).id
        gaps = [self._mujoco.mj_geomDistance(self.model, self.data, one, other, _REACH, None)
                for one in self._hulls(hand) for other in self._hulls([target])]
        return min(gaps)

    def chest(self, side: str) -> str:
        """The link that an arm hangs on."""
        shoulder = self.model.joint(self.profile.arms[side].joints[0]).bodyid[0]
        return self.model.body(int(self.model.body_parentid[shoulder])).name

    def _hulls(self, bodies: list[int]) -> list[int]:
        return [geom for geom in range(self.model.ngeom)
                if self.model.geom_bodyid[geom] in bodies and self.model.geom_contype[geom]]

    def _below_wrists(self) -> dict[int, str]:
        """Body ids from the last arm joint on, to the side they belong to."""
        sides = {}
        for side, arm in self.profile.arms.items():
            last = self.model.joint(arm.joints[-1]).bodyid[0]
            for body in range(self.model.nbody):
                if last in self._line(body):
                    sides[body] = side
        return sides

    def _line(self, body: int) -> list[int]:
        """The body and all it hangs on, up to the world."""
        line = [body]
        while line[-1]:
            line.append(int(self.model.body_parentid[line[-1]]))
        return line

    def _neighbours(self, first: int, second: int) -> bool:
        if first in self._hands and self._hands.get(first) == self._hands.get(second):
            return True
        one, other = self._line(first), self._line(second)
        common = next(body for body in one if body in other)
        return one.index(common) + other.index(common) <= _NEIGHBOURS


@lru_cache(maxsize=2)
def robot_model(profile_name: str) -> RobotModel:
    """The model of a profile, by its name or path, loaded once a process."""
    return RobotModel(load_profile(profile_name))


def render(profile: RobotProfile, positions: dict[str, float], width: int = 960, height: int = 720) -> bytes:
    """A PNG of the pose (joint to rad). Raises Problem where the robot has no URDF or nothing can draw."""
    picture = robot_model(str(profile.path)).picture(positions, width, height)
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _mujoco():
    try:
        import mujoco
    except Exception as error:
        raise Problem("MUJOCO_GL", os.environ["MUJOCO_GL"], f"MuJoCo cannot draw with it ({type(error).__name__}); "
                      "apt install libosmesa6, and unset MUJOCO_GL or set it to osmesa") from None
    return mujoco


def _urdf_text(profile: RobotProfile) -> str:
    """The URDF with mesh paths made absolute and MuJoCo told to keep every link, mesh and path."""
    text = re.sub(r"package:///*([^/\"]+)", lambda match: str(package_folder(match[1], profile.urdf)),
                  profile.urdf.read_text())
    keep = '<compiler strippath="false" discardvisual="false" fusestatic="false" balanceinertia="true"/>'
    return text.replace("</robot>", f"<mujoco>{keep}</mujoco></robot>")


def _light(mujoco, spec) -> None:
    """A soft key light from the upper left, a weak fill from the right, and a pale background."""
    spec.visual.headlight.ambient, spec.visual.headlight.diffuse = [0.42] * 3, [0.12] * 3
    spec.visual.headlight.specular = [0.05] * 3
    spec.visual.quality.shadowsize, spec.visual.quality.offsamples = 4096, 0
    spec.visual.global_.offwidth, spec.visual.global_.offheight = 2560, 1920
    for pos, brightness, shadow in (([2.0, 1.5, 2.8], 0.42, True), ([2.0, -2.2, 1.2], 0.16, False)):
        light = spec.worldbody.add_light(pos=pos, dir=[-at for at in pos], castshadow=shadow)
        light.type = mujoco.mjtLightType.mjLIGHT_DIRECTIONAL
        light.diffuse, light.specular = [brightness] * 3, [0.15] * 3
    spec.add_texture(name="sky", type=mujoco.mjtTexture.mjTEXTURE_SKYBOX, builtin=mujoco.mjtBuiltin.mjBUILTIN_GRADIENT,
                     rgb1=[0.97, 0.98, 0.99], rgb2=[0.78, 0.82, 0.86], width=256, height=256)


def _mimics(profile: RobotProfile) -> dict[str, tuple[str, float, float]]:
    """Joint to (leader, factor, offset) of the URDF's mimic joints."""
    mimics = {}
    for joint in ElementTree.parse(profile.urdf).getroot().findall("joint"):
        mimic = joint.find("mimic")
        if mimic is not None:
            mimics[joint.get("name")] = (mimic.get("joint"), float(mimic.get("multiplier", 1)),
                                         float(mimic.get("offset", 0)))
    return mimics
