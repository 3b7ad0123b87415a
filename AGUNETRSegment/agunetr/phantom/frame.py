"""Paints what surrounds the abdominal organs: skin, fat, muscle, ribs, spine, lungs, heart, arms."""

from __future__ import annotations

import numpy as np

from agunetr.phantom.canvas import Canvas
from agunetr.phantom.shapes import ellipsoid, tube

ALL = (slice(None), slice(None), slice(None))
# How far round the body (radians from the back) each rib reaches, from the twelfth up.
_RIB_REACH = np.array([0.85, 1.45, 2.25, 2.4, 2.5, 2.6, 2.7, 2.75, 2.8, 2.8, 2.8, 2.8], np.float32)


def paint_body(canvas: Canvas) -> None:
    """Skin, fat and the muscular wall; the cavity is left as fat."""
    slab, patient = canvas.slab, canvas.slab.patient
    canvas.paint(ALL, slab.depth_body > 0, "fat", -108 + 6 * slab.broad)
    canvas.paint(ALL, (slab.depth_body > 0) & (slab.depth_body < 2), "skin", 5.0)
    depth = slab.depth_wall + 1.2 * slab.surface
    wall = (depth < 0) & (depth > -patient.wall) & (slab.depth_body > 3)
    muscle = patient.hu["muscle"] + 5 * slab.surface
    canvas.paint(ALL, wall, "muscle", muscle)
    # The wall is made of layers with fat between them.
    layer = wall & (np.abs(depth + 0.45 * patient.wall) < 0.9 * slab.broad - 0.3)
    canvas.paint(ALL, layer, "fat", -80.0)
    back = (slab.spine > 0) & (slab.depth_body > 4 + 0.4 * patient.fat)
    canvas.paint(ALL, back, "muscle", muscle)
    canvas.paint(ALL, back & (slab.fine > 1.5) & (slab.y < patient.spine_y - 25), "fat", -70.0)


def paint_ribs(canvas: Canvas) -> None:
    """Twelve pairs of ribs that fall from the back to the side, with cartilage in front, and the breastbone."""
    slab, patient = canvas.slab, canvas.slab.patient
    turn = np.abs(slab.angle)
    level = slab.z + 62 * np.minimum(turn, 2.2) / 2.2 - 75 * np.maximum(turn - 2.2, 0) + 42 + patient.rib_shift
    number = np.floor(level / patient.rib_pitch)
    across = level - (number + 0.5) * patient.rib_pitch
    reach = np.where(number >= 0, _RIB_REACH[np.clip(number, 0, 11).astype(np.int8)], 0)
    inward = slab.depth_wall + 0.5 * patient.wall
    thick = 0.36 * patient.wall
    shape = 1 - np.sqrt((inward / thick) ** 2 + (across / 6.5) ** 2)
    rib = (shape > 0) & (turn > 0.42) & (turn < reach)
    bone = rib & (turn < 2.05)
    canvas.paint(ALL, rib & ~bone, "muscle", 105 + 25 * slab.fine)
    canvas.paint(ALL, bone, "bone", np.where(shape > 0.45, patient.bone_hu, 2.4 * patient.bone_hu).astype(np.float32))
    sternum = (np.abs(slab.x) < 15) & (slab.y > 0) & (np.abs(inward) < 5.5) & (slab.z > 58 + patient.rib_shift)
    canvas.paint(ALL, sternum, "bone", patient.bone_hu + 20 * slab.fine)


def paint_spine(canvas: Canvas) -> None:
    """Vertebral bodies and discs, arches, processes, the spinal canal."""
    slab, patient = canvas.slab, canvas.slab.patient
    box = canvas.box([(0, patient.spine_y - 75, -999), (0, patient.spine_y + 15, 999)], 40)
    x, y, z = canvas.at(box)
    y = y - patient.spine_y
    phase = (z + patient.rib_shift) / 31
    phase = phase - np.floor(phase)
    body = 1 - (x / (21.5 - 2.5 * np.sin(np.pi * phase))) ** 2 - (y / 16.5) ** 2
    disc = phase < 0.2
    texture = patient.bone_hu * (1 + 0.16 * slab.fine[box])
    rim = (body < 0.1) | (np.abs(phase - 0.22) < 0.04) | (phase > 0.96)
    canvas.paint(box, body > 0, "bone", np.where(rim, 2.1 * patient.bone_hu, texture).astype(np.float32))
    canvas.paint(box, (body > 0) & disc, "muscle", 85 + 8 * slab.fine[box])
    arch = phase > 0.35
    back = y + 33 + 8 * (0.6 - phase)
    ring = np.sqrt((x / 14) ** 2 + ((y + 24) / 12.5) ** 2)
    process = (np.abs(x) < 3.4) & (back < 0) & (y > -66)
    wing = (np.abs(y + 27 + 0.12 * np.abs(x)) < 4.2) & (np.abs(x) < 36) & (np.abs(phase - 0.62) < 0.18)
    bone = (arch & ((ring < 1) | process) | wing) & (slab.depth_body[box] > 5)
    canvas.paint(box, bone, "bone", 1.7 * patient.bone_hu + 70 * slab.fine[box])
    canvas.paint(box, ring < 0.66, "muscle", np.where(ring < 0.42, 38.0, 12.0).astype(np.float32))


def paint_psoas(canvas: Canvas) -> None:
    """The psoas and the crura: muscle in front of and beside the spine."""
    patient = canvas.slab.patient
    hu = patient.hu["muscle"]
    for side in (-1, 1):
        points = [(side * 30.0, patient.spine_y + 4, -48.0), (side * 46.0, patient.spine_y + 6, -230.0)]
        box = canvas.box(points, 30)
        canvas.paint(box, tube(*canvas.at(box), points, [3, 25]) > 0, "muscle", hu)
        points = [(side * 13.0, patient.spine_y + 30, 40.0), (side * 17.0, patient.spine_y + 14, -70.0)]
        box = canvas.box(points, 10)
        canvas.paint(box, tube(*canvas.at(box), points, [5.5, 5]) > 0, "muscle", hu)


def paint_chest(canvas: Canvas) -> None:
    """Diaphragm, lungs with their vessels, the fat between them, the heart, at times an effusion."""
    slab, patient = canvas.slab, canvas.slab.patient
    inside = (slab.depth_wall > 0) & (slab.spine < 0)
    above = inside & (slab.depth_dome < 0)
    canvas.paint(ALL, inside & (np.abs(slab.depth_dome + 0.8) < 1.1), "muscle", patient.hu["muscle"])
    lung = above & (slab.depth_dome < -1.9)
    if patient.effusion:
        fluid = lung & (slab.y < -0.5 * patient.cavity_back) & (slab.z < patient.dome_left - 20)
    canvas.paint(ALL, lung, "lung", -865 + 25 * slab.broad - 0.25 * slab.y)
    twigs = np.abs(slab.vessels) < 0.035 * np.clip(2 - slab.depth_wall / 60, 0.5, 2)
    canvas.paint(ALL, lung & twigs & (slab.fine > 0.7), "lung", -250.0)
    if patient.effusion:
        canvas.paint(ALL, fluid, "lung", 12.0)
    base = patient.dome_left
    centre = (-0.14 * patient.cavity_width, 0.36 * patient.cavity_front, base + 42)
    radii = (0.48 * patient.cavity_width, 0.50 * patient.cavity_front, 54.0)
    box = canvas.box([centre], max(radii))
    x, y, z = canvas.at(box)
    heart = ellipsoid(x, y, z, centre, radii, tilt=0.35) + 2 * slab.surface[box]
    free = slab.depth_wall[box] > 3
    free &= slab.depth_dome[box] < 0
    canvas.paint(box, (heart > -7) & free, "fat", -95.0)
    canvas.paint(box, (heart > 0) & free, "heart", patient.hu["heart_muscle"])
    chambers = np.minimum(heart - 9, np.abs(x - centre[0] + 0.3 * (z - centre[2])) - 5)
    blood = np.where(x < centre[0], patient.hu["aorta"], patient.hu["vein"]).astype(np.float32)
    canvas.paint(box, (chambers > 0) & free, "heart", blood)
    points = [(-4.0, patient.spine_y + 34, 999.0), (-4.0, patient.spine_y + 34, base - 24)]
    box = canvas.box(points, 30)
    hose = tube(*canvas.at(box), points, [22, 14])
    canvas.paint(box, (hose > 0) & above[box], "fat", -95.0)
    points = [(-2.0, patient.spine_y + 46, 999.0), (-6.0, patient.spine_y + 52, base - 18)]
    box = canvas.box(points, 12)
    canvas.paint(box, tube(*canvas.at(box), points, [8, 8]) > 0, "muscle", 45.0)


def paint_arms(canvas: Canvas) -> None:
    """Arms beside the body, where the scanner's field has room for them."""
    patient = canvas.slab.patient
    if not patient.arms:
        return
    for side in (-1, 1):
        points = [(side * (patient.half_width + 36), -15.0, z) for z in (-300.0, 300.0)]
        box = canvas.box(points, 40)
        arm = tube(*canvas.at(box), points, [31, 34])
        for depth, label, hu in ((0, "skin", 5.0), (2, "fat", -105.0), (7, "muscle", 58.0), (20, "bone", 900.0)):
            canvas.paint(box, arm > depth, label, hu)
