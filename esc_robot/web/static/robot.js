// The robot in three dimensions: built from /robot.json, moved by joint positions, drawn when something has changed.
import { THREE, STLLoader, OrbitControls } from "/three.js";

const FOLLOW_S = 0.05; // the picture closes in on the newest pose with this time constant
const CREASE = Math.cos((32 * Math.PI) / 180); // edges sharper than this stay edges
const SLOW_MS = 100; // frames further apart than this cost the picture its shadows
const KEY_TURN = 0.12; // rad a key press

// Gives the view, or null where the robot's profile has no model. Fails where the browser cannot draw.
export async function showRobot(canvas) {
  const description = await (await fetch("/robot.json")).json();
  if (!description) return null;
  const view = new RobotView(canvas, description);
  await view.load();
  return view;
}

class RobotView {
  #canvas; #description; #renderer; #camera; #controls; #key;
  #scene = new THREE.Scene();
  #links = new Map(); // link name to its group
  #joints = new Map(); // joint name to how it moves its group
  #target; #shown;
  #drawing = false;
  #moving = false;
  #last = 0;
  #gaps = [];

  constructor(canvas, description) {
    this.#canvas = canvas;
    this.#description = description;
    this.#target = [...description.pose];
    this.#shown = [...description.pose];
    const slow = drawsInSoftware();
    this.#renderer = new THREE.WebGLRenderer({ canvas, antialias: !slow, alpha: true });
    this.#renderer.setPixelRatio(Math.min(devicePixelRatio, 2));
    this.#renderer.toneMapping = THREE.ACESFilmicToneMapping;
    this.#renderer.toneMappingExposure = 0.95;
    this.#renderer.shadowMap.enabled = !slow;
    this.#renderer.shadowMap.type = THREE.PCFSoftShadowMap;
    this.#light();
    this.#aim();
  }

  async load() {
    const loader = new STLLoader();
    const geometries = await Promise.all(Array.from({ length: this.#description.meshes }, async (_, number) =>
      smooth(loader.parse(await (await fetch(`/mesh/${number}`)).arrayBuffer()))));
    this.#build(geometries);
    this.#place();
    new ResizeObserver(() => this.#resize()).observe(this.#canvas.parentElement);
    this.#resize();
  }

  // Positions in the order of /robot.json's joints; null: unknown, it stays.
  pose(positions) {
    positions.forEach((position, index) => { if (position !== null) this.#target[index] = position; });
    this.#draw();
  }

  // Where a link is, in metres, in the robot's own frame.
  linkPosition(name) {
    this.#scene.updateMatrixWorld();
    return this.#links.get(name).getWorldPosition(new THREE.Vector3()).toArray();
  }

  #light() {
    const sky = new THREE.Scene();
    sky.add(new THREE.HemisphereLight(0xffffff, 0x8d8072, 4));
    sky.add(new THREE.Mesh(new THREE.SphereGeometry(10), new THREE.MeshStandardMaterial({ side: THREE.BackSide })));
    const generator = new THREE.PMREMGenerator(this.#renderer);
    this.#scene.environment = generator.fromScene(sky, 0.04).texture;
    this.#scene.environmentIntensity = 0.4;
    this.#scene.environmentRotation.x = Math.PI / 2; // its sky is along y, ours along z
    this.#key = new THREE.DirectionalLight(0xfff3e2, 2.2);
    this.#key.castShadow = this.#renderer.shadowMap.enabled;
    this.#key.shadow.mapSize.set(2048, 2048);
    this.#key.shadow.radius = 5;
    this.#key.shadow.normalBias = 0.006;
    const frame = this.#key.shadow.camera;
    [frame.left, frame.right, frame.top, frame.bottom, frame.near, frame.far] = [-1.2, 1.2, 1.2, -1.2, 0.5, 6];
    const fill = new THREE.DirectionalLight(0xcfe0f2, 0.5);
    const [x, y, z] = this.#description.view.look_at;
    this.#key.position.set(x + 1.6, y + 1.6, z + 2.2);
    this.#key.target.position.set(x, y, z);
    fill.position.set(x + 1.2, y - 2.4, z + 0.6);
    this.#scene.add(this.#key, this.#key.target, fill);
  }

  // The camera of the robot's profile: metres and degrees, z up; azimuth and elevation of the line of sight.
  #aim() {
    const { look_at: at, distance, azimuth, elevation } = this.#description.view;
    const [a, e] = [azimuth, elevation].map(THREE.MathUtils.degToRad);
    const sight = new THREE.Vector3(Math.cos(e) * Math.cos(a), Math.cos(e) * Math.sin(a), Math.sin(e));
    this.#camera = new THREE.PerspectiveCamera(45, 1, 0.05, 20);
    this.#camera.up.set(0, 0, 1);
    this.#camera.position.set(...at).addScaledVector(sight, -distance);
    this.#controls = new OrbitControls(this.#camera, this.#canvas);
    this.#controls.target.set(...at);
    Object.assign(this.#controls, { enableZoom: false, enablePan: false, minPolarAngle: 0.9, maxPolarAngle: 1.9 });
    this.#controls.update();
    this.#canvas.style.touchAction = "pan-y"; // a finger turns the robot sideways, and scrolls the page up and down
    this.#controls.addEventListener("change", () => this.#draw());
    this.#canvas.addEventListener("keydown", (event) => {
      const turn = { ArrowLeft: -KEY_TURN, ArrowRight: KEY_TURN }[event.key];
      if (!turn) return;
      event.preventDefault();
      this.#camera.position.sub(this.#controls.target).applyAxisAngle(this.#camera.up, turn).add(this.#controls.target);
      this.#controls.update();
    });
  }

  #build(geometries) {
    const materials = new Map();
    for (const { name, parent, joint, visuals } of this.#description.links) {
      const group = new THREE.Group();
      (parent < 0 ? this.#scene : this.#links.get(this.#description.links[parent].name)).add(group);
      this.#links.set(name, group);
      if (joint) this.#attach(group, joint);
      for (const visual of visuals) {
        const colour = visual.colour.join();
        if (!materials.has(colour)) {
          const shade = new THREE.Color().setRGB(...visual.colour, THREE.SRGBColorSpace);
          materials.set(colour, new THREE.MeshStandardMaterial({ color: shade, roughness: 0.5, metalness: 0.08 }));
        }
        const mesh = new THREE.Mesh(shape(visual, geometries), materials.get(colour));
        put(mesh, visual);
        if (visual.scale) mesh.scale.set(...visual.scale);
        mesh.castShadow = mesh.receiveShadow = true;
        group.add(mesh);
      }
    }
  }

  #attach(group, joint) {
    put(group, joint);
    if (joint.type !== "fixed") {
      this.#joints.set(joint.name, {
        ...joint, group, axis: new THREE.Vector3(...joint.axis).normalize(),
        home: group.position.clone(), turn: group.quaternion.clone(),
      });
    }
  }

  #place() {
    const values = Object.fromEntries(this.#description.joints.map((name, index) => [name, this.#shown[index]]));
    for (const { name, type, group, axis, home, turn, mimic } of this.#joints.values()) {
      const value = mimic ? mimic[1] * (values[mimic[0]] ?? 0) + mimic[2] : values[name];
      if (type === "prismatic") {
        group.position.copy(axis).multiplyScalar(value).applyQuaternion(turn).add(home);
      } else {
        group.quaternion.setFromAxisAngle(axis, value).premultiply(turn);
      }
    }
  }

  #draw() {
    if (this.#drawing) return;
    this.#drawing = true;
    requestAnimationFrame((now) => this.#frame(now));
  }

  #frame(now) {
    this.#drawing = false;
    if (this.#moving) this.#watch(now - this.#last);
    const step = 1 - Math.exp(-Math.min(now - this.#last, 100) / 1000 / FOLLOW_S);
    this.#last = now;
    let apart = 0;
    this.#target.forEach((target, index) => {
      apart = Math.max(apart, Math.abs(target - this.#shown[index]));
      this.#shown[index] += (target - this.#shown[index]) * step;
    });
    this.#place();
    this.#renderer.render(this.#scene, this.#camera);
    this.#moving = apart > 1e-4;
    if (this.#moving) this.#draw();
  }

  // gap: ms between two frames of one movement.
  #watch(gap) {
    if (!this.#renderer.shadowMap.enabled) return;
    this.#gaps.push(gap);
    if (this.#gaps.length < 8) return;
    const typical = this.#gaps.sort((a, b) => a - b)[4];
    this.#gaps = [];
    if (typical <= SLOW_MS) return;
    this.#renderer.shadowMap.enabled = this.#key.castShadow = false;
    this.#scene.traverse((object) => { if (object.material) object.material.needsUpdate = true; });
  }

  #resize() {
    const { clientWidth: width, clientHeight: height } = this.#canvas.parentElement;
    if (!width || !height) return;
    this.#renderer.setSize(width, height, false);
    this.#camera.aspect = width / height;
    // Narrower than it is high, the picture keeps the arms in sight rather than the height.
    const half = Math.tan(THREE.MathUtils.degToRad(45 / 2));
    this.#camera.fov = THREE.MathUtils.radToDeg(2 * Math.atan(half * Math.max(1, 0.95 / this.#camera.aspect)));
    this.#camera.updateProjectionMatrix();
    this.#draw();
  }
}

// Without a graphics card antialiasing alone takes seconds a frame.
function drawsInSoftware() {
  const gl = document.createElement("canvas").getContext("webgl2");
  const names = gl?.getExtension("WEBGL_debug_renderer_info");
  return /swiftshader|llvmpipe|software/i.test(names ? gl.getParameter(names.UNMASKED_RENDERER_WEBGL) : "");
}

function put(object, { xyz, rpy }) {
  object.position.set(...xyz);
  object.rotation.set(...rpy, "ZYX"); // a URDF turns about fixed axes: x, then y, then z
}

function shape({ mesh, box, cylinder, sphere }, geometries) {
  if (mesh !== undefined) return geometries[mesh];
  if (box) return new THREE.BoxGeometry(...box);
  if (cylinder) return new THREE.CylinderGeometry(cylinder[0], cylinder[0], cylinder[1], 32).rotateX(Math.PI / 2);
  return new THREE.SphereGeometry(sphere, 32, 16);
}

// An STL file knows flat triangles only: a corner's normal becomes the mean of those around it, except across a crease.
function smooth(geometry) {
  const points = geometry.attributes.position.array;
  const count = points.length / 3;
  const faces = new Float32Array(points.length / 3); // one normal a triangle, as long as twice its area
  const [a, b, c] = [new THREE.Vector3(), new THREE.Vector3(), new THREE.Vector3()];
  for (let face = 0; face < count / 3; face++) {
    a.fromArray(points, face * 9);
    b.fromArray(points, face * 9 + 3).sub(a);
    c.fromArray(points, face * 9 + 6).sub(a);
    b.cross(c).toArray(faces, face * 3);
  }
  const corners = new Map();
  const keys = new Float64Array(count);
  for (let index = 0; index < count; index++) {
    const [x, y, z] = [0, 1, 2].map((axis) => Math.round(points[index * 3 + axis] * 1e4) + 32768);
    keys[index] = (x * 65536 + y) * 65536 + z;
    const there = corners.get(keys[index]);
    if (there) there.push(Math.floor(index / 3));
    else corners.set(keys[index], [Math.floor(index / 3)]);
  }
  const normals = new Float32Array(points.length);
  for (let index = 0; index < count; index++) {
    a.fromArray(faces, Math.floor(index / 3) * 3).normalize();
    c.set(0, 0, 0);
    for (const face of corners.get(keys[index])) {
      b.fromArray(faces, face * 3);
      if (a.dot(b) >= CREASE * b.length()) c.add(b);
    }
    (c.lengthSq() > 0 ? c : a).normalize().toArray(normals, index * 3);
  }
  geometry.setAttribute("normal", new THREE.BufferAttribute(normals, 3));
  return geometry;
}
