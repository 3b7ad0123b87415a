"""Paints stomach, pancreas, great vessels and bowel, round the solid organs that are there already."""

from __future__ import annotations

import numpy as np

from agunetr.phantom.canvas import LABELS, Box, Canvas
from agunetr.phantom.shapes import Point, tube

_SOLID = [LABELS[name] for name in ("liver", "spleen", "left_kidney", "right_kidney", "gallbladder")]


def _room(canvas: Canvas, box: Box, spleen: np.ndarray, wall_mm: float) -> np.ndarray:
    """Where the gut may lie: in the abdomen, off the wall, the spine and the solid organs."""
    slab = canvas.slab
    free = (slab.depth_abdomen[box] > wall_mm) & (slab.spine[box] < -10) & (spleen[box] < -2)
    return free & ~np.isin(canvas.label[box], _SOLID)


def paint_vessels(canvas: Canvas) -> None:
    """Aorta, inferior vena cava, portal and splenic vein, renal vessels."""
    slab, patient = canvas.slab, canvas.slab.patient
    y, hu = patient.spine_y, patient.hu
    rng = patient.stream(7)
    wide = rng.uniform(9.5, 13)
    tail = spleen_hilum(canvas)
    aorta = [(-14.0, y + 24, 400.0), (-9.0, y + 32, 20.0), (-4.0, y + 30, -400.0)]
    cava = [(20.0, y + 46, patient.dome_right - 14), (22.0, y + 36, -30.0), (19.0, y + 28, -400.0)]
    portal = [(30.0, y + 62, patient.dome_right - 98), (14.0, y + 54, -58.0), (10.0, y + 58, -190.0)]
    splenic = [(14.0, y + 54, -52.0), (-24.0, y + 50, -38.0), tail]
    kinds = [("veins", "vein", cava, [13, 11.5, 11]), ("veins", "portal", portal, [7, 6.5, 5])]
    if patient.has_spleen:
        kinds.append(("veins", "portal", splenic, [5, 4.5, 3]))
    renal = patient.spleen_z - 66
    crossing = [(10.0, y + 40, renal + 4), (-4.0, y + 45, renal + 4), (-40.0, y + 14, renal)]
    kinds.append(("veins", "vein", crossing, [4, 4, 4]))
    kinds.append(("veins", "vein", [(20.0, y + 32, renal), (40.0, y + 14, renal)], [4, 4]))
    kinds.append(("aorta", "aorta", aorta, [wide, wide, 0.85 * wide]))
    for label, blood, points, radii in kinds:
        box = canvas.box(points, 14)
        shape = tube(*canvas.at(box), points, radii)
        inside = (shape > 0) & ~np.isin(canvas.label[box], _SOLID)
        canvas.paint(box, inside & (slab.depth_wall[box] > 0), label, hu[blood])
        if label == "aorta" and rng.random() < 0.4:
            plaque = inside & (shape < 1.3) & (slab.surface[box] > 1.7)
            canvas.paint(box, plaque, None, 550.0)


def spleen_hilum(canvas: Canvas) -> Point:
    """About where the vessels reach the spleen."""
    patient = canvas.slab.patient
    reach = 0.5 * (patient.cavity_width + patient.cavity_back) - 48
    around = patient.spleen_angle + 0.08
    return -float(np.sin(around)) * reach, -float(np.cos(around)) * reach, patient.spleen_z - 4


def paint_pancreas(canvas: Canvas, spleen: np.ndarray) -> None:
    """A lobulated band from the duodenum to the hilum of the spleen; the left adrenal gland behind it."""
    slab, patient = canvas.slab, canvas.slab.patient
    y = patient.spine_y
    points = [(34.0, y + 50, -88.0), (14.0, y + 64, -62.0), (-24.0, y + 60, -44.0), spleen_hilum(canvas)]
    box = canvas.box(points, 18)
    shape = tube(*canvas.at(box), points, [14, 10, 9.5, 7.5]) + 1.6 * slab.fine[box] + slab.surface[box]
    lobes = np.where(slab.fine[box] < -1.1, -60.0, patient.hu["pancreas"]).astype(np.float32)
    canvas.paint(box, (shape > 0) & _room(canvas, box, spleen, 5), "pancreas", lobes)
    for side in (-1, 1):
        points = [(side * 26.0, y + 22, -2.0), (side * 34.0, y + 14, -24.0)]
        box = canvas.box(points, 10)
        gland = tube(*canvas.at(box), points, [3, 3.6]) + 0.6 * slab.fine[box]
        canvas.paint(box, (gland > 0) & _room(canvas, box, spleen, 3), "muscle", 60.0)


def _fill(
    canvas: Canvas, box: Box, shape: np.ndarray, where: np.ndarray, label: str, content: str, gas_y: float
) -> None:
    """A hollow organ: wall, content, and gas on top (the patient lies on the back)."""
    slab, patient = canvas.slab, canvas.slab.patient
    canvas.paint(box, where, label, patient.hu["gut_wall"] + 4 * slab.surface[box])
    lumen = where & (shape > 3)
    fine = slab.fine[box]
    hu = {
        "water": 12 + 3 * fine,
        "food": 38 + 55 * np.abs(fine) - 260 * (fine > 1.6),
        "contrast": 260 + 45 * slab.surface[box],
        "air": np.full_like(fine, -950),
        "stool": 25 + 50 * fine - 600 * (np.abs(slab.surface[box]) < 0.25),
    }[content]
    canvas.paint(box, lumen, None, hu.astype(np.float32))
    canvas.paint(box, lumen & (slab.y[box] > gas_y), None, -960.0)


def paint_stomach(canvas: Canvas, spleen: np.ndarray) -> None:
    """From under the left dome, in front of the spleen, across the midline."""
    slab, patient = canvas.slab, canvas.slab.patient
    width, front, top, scale = patient.cavity_width, patient.cavity_front, patient.dome_left, patient.stomach_scale
    points = [
        (-0.36 * width, -0.08 * front, top - 30 - 12 * scale),
        (-0.42 * width, 0.34 * front, top - 66),
        (-0.26 * width, 0.52 * front, top - 112 - 16 * scale),
        (0.04 * width, 0.50 * front, top - 124),
        (0.22 * width, 0.34 * front, top - 112),
    ]
    radii = [34 * scale, 33 * scale, 24 * scale, 17 * scale, 12 * scale]
    box = canvas.box(points, 40)
    shape = tube(*canvas.at(box), points, radii) + 2.5 * slab.broad[box] + 1.2 * slab.surface[box]
    shape = np.minimum(shape, slab.depth_abdomen[box] - 3)
    where = (shape > 0) & _room(canvas, box, spleen, 3)
    gas = points[1][1] + patient.stream(8).uniform(-0.3, 0.9) * radii[1]
    _fill(canvas, box, shape, where, "stomach", patient.stomach_content, gas)


def paint_bowel(canvas: Canvas, spleen: np.ndarray) -> None:
    """The colon as a frame, small-bowel loops inside it, small vessels in the fat between."""
    slab, patient = canvas.slab, canvas.slab.patient
    width, front, rng = patient.cavity_width, patient.cavity_front, patient.stream(9)
    flexure = patient.spleen_z - 28 - (45 if patient.spleen_ml > 350 and patient.has_spleen else 0)
    colon = [
        (-0.78 * width, -0.12 * front, -260.0),
        (-0.76 * width, 0.00 * front, flexure - 45),
        (-0.66 * width, 0.40 * front, flexure),
        (-0.30 * width, 0.70 * front, flexure - rng.uniform(20, 50)),
        (0.25 * width, 0.72 * front, flexure - rng.uniform(40, 70)),
        (0.64 * width, 0.40 * front, patient.spleen_z - 85),
        (0.74 * width, 0.05 * front, patient.spleen_z - 110),
        (0.72 * width, -0.05 * front, -260.0),
    ]
    radii = rng.uniform(12, 22, len(colon)).tolist()
    box = canvas.box(colon, 24)
    haustra = 2.6 * slab.surface[box] + 1.0 * slab.fine[box]
    shape = tube(*canvas.at(box), colon, radii) + haustra
    taken = canvas.label[box] == LABELS["stomach"]
    where = (shape > 0) & _room(canvas, box, spleen, 4) & ~taken
    content = str(rng.choice(["stool", "stool", "contrast", "air", "water"]))
    _fill(canvas, box, shape, where, "bowel", content, 0.62 * front)
    low = canvas.box([(-width, patient.spine_y, -400), (width, front, patient.spleen_z - 40)], 0)
    field = slab.fields.loops.on_grid(*slab.axes)[low]
    loops = (patient.bowel_share - np.abs(field)) * 16
    y, z = slab.y[low], slab.z[low]
    loops = np.minimum(loops, (patient.spleen_z - 55 - z) + 6 * slab.broad[low])
    loops = np.minimum(loops, (y - patient.spine_y - 46) + 6 * slab.broad[low])
    empty = canvas.label[low] == LABELS["fat"]
    where = (loops > 0) & empty & _room(canvas, low, spleen, 9)
    content = str(rng.choice(["water", "food", "contrast"], p=(0.5, 0.25, 0.25)))
    _fill(canvas, low, loops, where, "bowel", content, 999.0)
    lumen = where & (loops > 3) & (slab.fields.content.on_grid(*slab.axes)[low] > 1.3) & (y > 0.2 * front)
    canvas.paint(low, lumen, None, -940.0)
    inner = canvas.box([(-width, -front, -400), (width, front, patient.dome_left)], 0)
    threads = np.abs(slab.vessels[inner]) < 0.06
    threads &= (slab.fine[inner] > 1.0) & (canvas.label[inner] == LABELS["fat"]) & (slab.depth_abdomen[inner] > 8)
    canvas.paint(inner, threads, None, 0.6 * patient.hu["portal"] - 20)
