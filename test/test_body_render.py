import io

import numpy as np
import pytest
from PIL import Image

from esc_robot.body.gestures import library
from esc_robot.body.motion import State, plan
from esc_robot.body.profile import load_profile
from esc_robot.body.render import render, robot_model
from esc_robot.body.simulation import SimulatedRobot
from esc_robot.errors import Problem

WITH_URDF = ("talos", "tiago_pro")
CHEST = {"talos": "torso_2_link", "tiago_pro": "torso_lift_link"}


def stroke(profile, name):
    gesture = library()[name]
    return profile.posture(gesture.keyframes[gesture.stroke_index].pose)


@pytest.mark.parametrize("robot_name", WITH_URDF)
@pytest.mark.parametrize("name", sorted(library().gestures))
def test_no_gesture_makes_the_robot_touch_itself(name, robot_name):
    profile, model = load_profile(robot_name), robot_model(robot_name)
    made = plan(library()[name], profile, State())
    robot = SimulatedRobot(profile)
    for controller, trajectory in made.trajectories.items():
        robot.accept(controller, trajectory, 0.0)
    for now in np.arange(0.0, made.seconds, 0.1):
        robot.step(now)
        assert model.touching(robot.positions) == [], f"{now:.1f} s"


def test_a_robot_that_does_touch_itself_is_noticed():
    profile = load_profile("talos")
    through_the_chest = {**profile.rest, "arm_right_1_joint": 0.3, "arm_right_2_joint": -0.1, "arm_right_3_joint": 1.6,
                         "arm_right_4_joint": -1.6}
    pairs = robot_model("talos").touching(through_the_chest)
    assert any("torso_2_link" in pair and any("arm_right" in link for link in pair) for pair in pairs)


@pytest.mark.parametrize("robot_name", WITH_URDF)
def test_the_hand_on_the_heart_is_within_5_cm_of_the_chest_and_the_palm_faces_it(robot_name):
    profile, model = load_profile(robot_name), robot_model(robot_name)
    posture = stroke(profile, "hand_on_heart")
    model.place(posture)
    assert 0.0 < model.gap("right", CHEST[robot_name]) < 0.05
    arm = profile.arms["right"]
    found = arm.directions(np.array([[posture[joint] for joint in arm.joints]]))
    assert found["wrist"][0, 0] < -0.8


@pytest.mark.parametrize("robot_name", WITH_URDF)
def test_the_arm_points_in_mujoco_where_the_gesture_says(robot_name):
    profile, model = load_profile(robot_name), robot_model(robot_name)
    for name in ("open_hands", "greeting"):
        posture = stroke(profile, name)
        model.place(posture)
        for arm in profile.arms.values():
            found = arm.directions(np.array([[posture[joint] for joint in arm.joints]]))
            chest = model.data.body(CHEST[robot_name])
            hand = model.model.joint(arm.joints[-1]).bodyid[0]
            point = model.data.xpos[hand] + model.data.xmat[hand].reshape(3, 3) @ arm.hand
            in_chest = chest.xmat.reshape(3, 3).T @ (point - chest.xpos)
            assert in_chest == pytest.approx(found["touch"][0], abs=2e-3)


def test_a_picture_shows_the_robot_and_changes_with_the_pose():
    profile = load_profile("talos")
    pictures = [np.asarray(Image.open(io.BytesIO(render(profile, pose, 240, 180))), dtype=int)
                for pose in (profile.rest, stroke(profile, "greeting"))]
    assert pictures[0].shape == (180, 240, 3)
    assert pictures[0].std() > 20, "an empty picture"
    assert (np.abs(pictures[0] - pictures[1]).sum(axis=2) > 60).mean() > 0.01


def test_a_robot_without_a_model_cannot_be_drawn_and_says_so():
    generic = load_profile("generic")
    with pytest.raises(Problem, match="generic"):
        render(generic, generic.rest)
