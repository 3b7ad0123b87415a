"""Paints the organs of the abdomen, the spleen first: what comes later makes room for it."""

from __future__ import annotations

import numpy as np

from agunetr.phantom.canvas import Box, Canvas
from agunetr.phantom.patient import Patient
from agunetr.phantom.shapes import Point, ellipsoid, smooth_maximum, smooth_minimum, tube
from agunetr.phantom.torso import Slab


def kidney_centre(patient: Patient, side: int) -> Point:
    """Centre of a kidney; ``side`` is -1 for the left, 1 for the right one, which lies lower."""
    drop = 12.0 if side > 0 else 0.0
    large = max(patient.spleen_ml - 200, 0) / 18 if side < 0 and patient.has_spleen else 0.0
    lateral = max(0.47 * patient.cavity_width, 54.0)
    return side * lateral, patient.spine_y + 2, patient.spleen_z - 62 - drop - large


def _kidney(patient: Patient, side: int, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    scale = patient.kidney_scale
    return ellipsoid(x, y, z, kidney_centre(patient, side), (25 * scale, 23 * scale, 51 * scale), tilt=side * 0.24)


def spleen_shape(slab: Slab, box: Box, size_mm: float) -> np.ndarray:
    """Soft distance of a spleen of a given half length, before it is cut to its volume.

    An ellipsoid in coordinates that follow the diaphragm and the wall (depth, way round the body, height), so its
    outer face is convex, its inner face hollow, and its long axis runs along the tenth rib.
    """
    patient = slab.patient
    depth, x, y, z = slab.depth_abdomen[box], slab.x[box], slab.y[box], slab.z[box]
    reach = 0.5 * (patient.cavity_width + patient.cavity_back)
    around = (slab.angle[box] - patient.spleen_angle) * reach
    height = z - patient.spleen_z
    cosine, sine = np.float32(np.cos(patient.spleen_tilt)), np.float32(np.sin(patient.spleen_tilt))
    long, short = cosine * around - sine * height, sine * around + cosine * height
    radial, length, breadth = (size_mm * radius for radius in patient.spleen_radii)
    inward = depth - (patient.spleen_gap + 0.72 * radial)
    norm = np.sqrt((inward / radial) ** 2 + (long / length) ** 2 + (short / breadth) ** 2)
    shape = (1 - norm) * np.float32(radial)
    shape += patient.spleen_rough * (0.8 * slab.broad[box] + 0.35 * slab.surface[box])
    # The hilum: a hollow in the middle of the inner face.
    hollow = (long / (0.3 * length)) ** 2 + (short / (0.3 * breadth)) ** 2
    shape -= 5 * np.exp(-hollow) * (inward > 0)
    kidney = _kidney(patient, -1, x, y, z)
    shape = np.minimum(shape, -kidney - 4)
    shape = np.minimum(shape, depth - patient.spleen_gap - 0.7 * np.abs(slab.surface[box]))
    shape = smooth_minimum(shape, -x - 26, 6.0)
    return np.minimum(shape, -slab.spine[box] - 4)


def paint_spleen(canvas: Canvas, size_mm: float) -> np.ndarray:
    """The spleen; returns its soft distance on the whole slab (far outside: -50) for its neighbours."""
    slab, patient = canvas.slab, canvas.slab.patient
    distance = np.full(slab.x.shape, -50, np.float32)
    if not patient.has_spleen:
        return distance
    box = spleen_box(canvas)
    distance[box] = spleen_shape(slab, box, size_mm)
    fill_spleen(canvas, box, distance[box] > 0)
    return distance


def fill_spleen(canvas: Canvas, box: Box, inside: np.ndarray) -> None:
    """Paint the True voxels of a box as spleen: its enhancement, at times with infarcts."""
    slab, patient = canvas.slab, canvas.slab.patient
    hu = patient.hu["spleen"] + 2.5 * slab.broad[box]
    if patient.contrast == "arterial":
        # The early, striped enhancement of the red and the white pulp.
        hu = hu + 24 * np.sin(1.9 * slab.broad[box] + 2.2 * slab.surface[box])
    canvas.paint(box, inside, "spleen", hu)
    if patient.stream(4).random() < 0.12:
        canvas.paint(box, inside & (slab.surface[box] > 2.1), None, 15.0)


def spleen_box(canvas: Canvas) -> Box:
    """Where even the largest spleen may lie: the left half of the body."""
    patient = canvas.slab.patient
    corners = [(-patient.half_width, -patient.half_back, -170), (-8, patient.half_front, patient.dome_left)]
    return canvas.box(corners, 0)


def paint_kidneys(canvas: Canvas) -> None:
    """Cortex, medulla, the fat and the pelvis inside, at times a cyst."""
    slab, patient = canvas.slab, canvas.slab.patient
    for side, label in ((-1, "left_kidney"), (1, "right_kidney")):
        centre = kidney_centre(patient, side)
        box = canvas.box([centre], 60 * patient.kidney_scale)
        x, y, z = canvas.at(box)
        rough = slab.surface[box]
        shape = np.minimum(_kidney(patient, side, x, y, z) + rough, slab.depth_abdomen[box] - 3)
        middle = (centre[0] - side * 15, centre[1] + 5, centre[2])
        sinus = ellipsoid(x, y, z, middle, (15, 11, 27)) + 1.5 * rough
        pelvis = tube(x, y, z, [middle, (side * 24, centre[1] + 10, centre[2] - 20)], [5, 3]) + 0.5 * rough
        core = (shape > 7.5) & (slab.fine[box] > -0.6)
        canvas.paint(box, shape > 0, label, patient.hu["kidney_cortex"] + 4 * rough)
        canvas.paint(box, core, label, patient.hu["kidney_medulla"] + 4 * rough)
        canvas.paint(box, (sinus > 0) & (shape > -3), "fat", -85.0)
        canvas.paint(box, (pelvis > 0) & (shape > -6), None, patient.hu["kidney_pelvis"])
        rng = patient.stream(30 + side)
        if rng.random() < 0.3 * patient.cysts:
            place = np.asarray(centre) + rng.normal(size=3) * (12, 10, 25)
            cyst = ellipsoid(x, y, z, tuple(place), (rng.uniform(5, 16),) * 3)
            canvas.paint(box, (cyst > 0) & (shape > -12) & (slab.depth_abdomen[box] > 4), label, 6.0)


def paint_liver(canvas: Canvas, spleen: np.ndarray) -> None:
    """Right and left lobe under the diaphragm, vessels, lesions, the gallbladder."""
    slab, patient = canvas.slab, canvas.slab.patient
    width, front, top, scale = patient.cavity_width, patient.cavity_front, patient.dome_right, patient.liver_scale
    box = canvas.box([(width, -front, top), (-0.6 * width, front, top - 190)], 0)
    x, y, z = canvas.at(box)
    rough = 3.5 * slab.broad[box] + slab.surface[box]
    right = ellipsoid(x, y, z, (0.50 * width, -0.02 * front, top - 66), (0.66 * width, 1.1 * front, 104 * scale))
    floor = top - 88 - 62 * scale * np.clip(x / (0.9 * width), -0.4, 1.1)
    right = np.minimum(right, (z - floor) * np.float32(0.75))
    reach = patient.stream(5).uniform(0.32, 0.62)
    centre = (-0.06 * width, 0.50 * front, top - 56)
    left = ellipsoid(x, y, z, centre, (reach * width, 0.42 * front, 46 * scale))
    shape = smooth_maximum(right, left, 14) + rough
    shape = np.minimum(shape, slab.depth_abdomen[box] - 1.5)
    shape = np.minimum(shape, -_kidney(patient, 1, x, y, z) - 4)
    shape = np.minimum(shape, -slab.spine[box] - 4)
    shape = np.minimum(shape, -spleen[box] - 2.5)
    inside = shape > 0
    canvas.paint(box, inside, "liver", patient.hu["liver"] + 2.5 * slab.broad[box])
    base = patient.spine_y
    trees = (
        ("portal", [(30, base + 62, top - 98), (62, base + 62, top - 74), (92, base + 48, top - 66)], [6.5, 5, 2]),
        ("portal", [(62, base + 62, top - 74), (80, base + 90, top - 90), (96, base + 98, top - 110)], [4.5, 3, 1.5]),
        ("portal", [(34, base + 64, top - 94), (8, base + 92, top - 72), (-20, base + 100, top - 62)], [5, 3.5, 1.5]),
        ("vein", [(22, base + 44, top - 30), (62, base + 38, top - 46), (100, base + 30, top - 84)], [5, 4, 1.5]),
        ("vein", [(20, base + 46, top - 30), (46, base + 78, top - 46), (58, base + 105, top - 80)], [5, 3.5, 1.5]),
        ("vein", [(16, base + 46, top - 30), (-10, base + 80, top - 42), (-26, base + 95, top - 52)], [4.5, 3, 1.5]),
    )
    for blood, points, radii in trees:
        part = canvas.box(points, 10)
        branch = tube(*canvas.at(part), points, radii) + 0.4 * slab.surface[part]
        canvas.paint(part, (branch > 0) & (canvas.label[part] == 5), None, patient.hu[blood])
    twigs = inside & (np.abs(slab.vessels[box]) < 0.05) & (slab.fine[box] > 0.9)
    canvas.paint(box, twigs, None, 0.5 * (patient.hu["portal"] + patient.hu["liver"]))
    rng = patient.stream(6)
    for _ in range(patient.lesions):
        place = np.asarray((0.5 * width, 0, top - 70)) + rng.normal(size=3) * (30, 35, 30)
        lesion = ellipsoid(x, y, z, tuple(place), tuple(rng.uniform(4, 18, 3))) + 0.3 * rough
        canvas.paint(box, (lesion > 0) & (shape > 1), None, patient.hu["liver"] - rng.uniform(20, 70))
    if rng.random() < 0.8:
        centre = (0.42 * width, 0.45 * front, top - 128 * scale)
        part = canvas.box([centre], 40)
        bladder = ellipsoid(*canvas.at(part), centre, (13, 17, 26)) + slab.surface[part]
        canvas.paint(part, (bladder > 0) & (slab.depth_abdomen[part] > 6), "gallbladder", 10.0)
