import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
import yaml

from esc_robot.assets import config
from esc_robot.body.gestures import library
from esc_robot.body.profile import SPEED_NEAR_PEOPLE, load_profile, profile_names, read_profile
from esc_robot.errors import Problem

WITH_URDF = ("talos", "tiago_pro")


def written(tmp_path, name, change):
    given = yaml.safe_load(config(f"robots/{name}.yaml").read_text())
    change(given)
    path = tmp_path / f"{name}.yaml"
    path.write_text(yaml.safe_dump(given))
    return path


@pytest.mark.parametrize("name", WITH_URDF)
def test_limits_come_from_the_urdf_and_speeds_stay_at_a_third_of_its(name):
    profile = load_profile(name)
    root = ElementTree.parse(profile.urdf).getroot()
    urdf = {joint.get("name"): joint.find("limit") for joint in root.findall("joint")}
    for joint in profile.joints.values():
        assert joint.lower == float(urdf[joint.name].get("lower"))
        assert joint.upper == float(urdf[joint.name].get("upper"))
        assert joint.velocity <= SPEED_NEAR_PEOPLE * float(urdf[joint.name].get("velocity")) + 1e-9


@pytest.mark.parametrize("limits", [[-0.3, 0.7, 1.0], [-0.2, 0.9, 1.0], [-0.2, 0.7, 1.1]])
def test_a_profile_whose_limits_reach_beyond_the_urdf_is_refused_by_name(tmp_path, limits):
    path = written(tmp_path, "talos", lambda given: given.update(limits={"head_1_joint": limits}))
    with pytest.raises(Problem, match="head_1_joint.*beyond the URDF"):
        read_profile(path)


def test_a_profile_may_be_tighter_than_the_urdf(tmp_path):
    path = written(tmp_path, "talos", lambda given: given.update(limits={"head_1_joint": [-0.1, 0.3, 0.5]}))
    assert read_profile(path).joints["head_1_joint"].upper == 0.3


@pytest.mark.parametrize("change, words", [
    (lambda given: given.update(speed_scale=0.5), "speed_scale of talos '0.5'"),
    (lambda given: given.update(urdf="talos_data/robots/none.urdf"), "none.urdf"),
    (lambda given: given["controllers"]["head_controller"]["joints"].append("neck_joint"), "neck_joint"),
    (lambda given: given["channels"].update(head_roll={"ear_joint": 1.0}), "ear_joint"),
    (lambda given: given["arms"]["left"]["joints"].append("tail_joint"), "tail_joint"),
    (lambda given: given.update(limits={"nose_joint": [0, 1, 1]}), "nose_joint"),
    (lambda given: given.update(interface="telepathy"), "telepathy"),
    (lambda given: given.pop("rest"), "rest"),
    (lambda given: given.update(controllers=3), "talos"),
])
def test_a_profile_that_is_wrong_is_refused_in_one_line_with_the_thing_in_it(tmp_path, change, words):
    with pytest.raises(Problem) as caught:
        read_profile(written(tmp_path, "talos", change))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_robot_is_refused_with_the_names_there_are():
    with pytest.raises(Problem, match="robby.*generic, nao, pepper, talos, tiago_pro"):
        load_profile("robby")


@pytest.mark.parametrize("name", profile_names())
def test_a_robot_drops_only_channels_it_says_it_lacks(name):
    lacking = {"talos": set(), "generic": set(), "tiago_pro": {"torso_pitch", "torso_yaw"},
               "nao": {"head_roll", "torso_pitch", "torso_yaw"}, "pepper": {"head_roll", "torso_yaw"}}
    profile = load_profile(name)
    used = {channel for gesture in library().gestures.values() for channel in gesture.channels}
    assert {channel for channel in used if not profile.has(channel)} <= lacking[name]


@pytest.mark.parametrize("name", profile_names())
def test_both_arms_follow_the_same_words_as_mirror_images(name):
    profile = load_profile(name)
    stroke = library()["open_hands"].keyframes[0].pose
    posture = profile.posture(stroke)
    seen = {}
    for side, arm in profile.arms.items():
        angles = [[posture[joint] for joint in arm.joints]]
        seen[side] = {part: value[0] for part, value in arm.directions(np.array(angles)).items()}
    for part in ("shoulder", "elbow", "wrist"):
        mirrored = seen["right"][part] * [1, -1, 1]
        assert seen["left"][part] @ mirrored > 0.97, part
    assert seen["left"]["wrist"][2] > 0.7, "open hands show the palms upward"


def test_a_profile_anywhere_is_named_by_its_path_and_its_urdf_may_lie_beside_it(tmp_path):
    (tmp_path / "mine.urdf").write_bytes(load_profile("talos").urdf.read_bytes())
    path = written(tmp_path, "talos", lambda given: given.update(urdf="mine.urdf"))
    assert load_profile(str(path)).urdf == tmp_path / "mine.urdf"
    with pytest.raises(Problem, match="none.yaml"):
        load_profile(str(tmp_path / "none.yaml"))


def test_a_profile_is_checked_and_a_stroke_drawn_from_the_command_line(tmp_path, capsys):
    from esc_robot.body.__main__ import main
    assert main(["generic"]) == 0
    assert "hand_on_heart" in capsys.readouterr().out
    assert main(["talos", "open_hands", str(tmp_path / "out.png")]) == 0
    assert (tmp_path / "out.png").stat().st_size > 10000 and "left_wrist" in capsys.readouterr().out
    assert main(["talos", "hand_on_heart", str(tmp_path / "out.png")]) == 0
    assert "right hand: " in (told := capsys.readouterr().out) and "cm from torso_2_link" in told
    path = written(tmp_path, "generic", lambda given: given["controllers"]["head_controller"].update(joints=["nose"]))
    assert main([str(path)]) == 2
    assert capsys.readouterr().err.startswith("error: joint of generic 'nose'")


def test_a_profile_whose_arms_meet_is_found_unsound(tmp_path, capsys):
    from esc_robot.body.__main__ import main
    crossed = {"both_shoulder": [0.2, 0.0, -1.0], "both_elbow": [0.4, -1.0, 0.2]}
    assert main([str(written(tmp_path, "talos", lambda given: given["rest"].update(crossed)))]) == 1
    assert "TOUCHING" in capsys.readouterr().out
