"""Mesh arithmetic: one Catmull-Clark subdivision as a matrix, normals, rotations, ribbons."""

import numpy as np
import scipy.sparse as sp


def catmull_clark(quads: np.ndarray, count: int) -> tuple[sp.csr_matrix, np.ndarray, sp.csr_matrix]:
    """Subdivision of quads [F,4] over `count` vertices: smooth matrix, new quads [4F,4], linear matrix.

    The matrices turn old vertices into new ones (vertices, then edges, then faces); the linear one
    only takes midpoints, as texture coordinates need (Catmull and Clark 1978; borders stay).
    """
    faces = len(quads)
    start, end = quads.ravel(), np.roll(quads, -1, axis=1).ravel()
    pairs = np.sort(np.stack([start, end], 1), axis=1)
    ends, edge_of = np.unique(pairs, axis=0, return_inverse=True)
    edge_of = edge_of.reshape(faces, 4)
    edges = len(ends)
    owner = np.repeat(np.arange(faces), 4)
    ones = np.ones(4 * faces)
    face_point = sp.csr_matrix((ones / 4, (owner, quads.ravel())), (faces, count))
    edge_face = sp.csr_matrix((ones, (edge_of.ravel(), owner)), (edges, faces))
    edge_vertex = sp.csr_matrix(
        (np.ones(2 * edges), (np.repeat(np.arange(edges), 2), ends.ravel())), (edges, count)
    )
    middle = edge_vertex * 0.5
    inner = (np.asarray(edge_face.sum(1)).ravel() == 2).astype(float)
    edge_point = (
        sp.diags(inner) @ (middle * 0.5 + 0.25 * edge_face @ face_point)
        + sp.diags(1 - inner) @ middle
    )
    vertex_edge = edge_vertex.T.tocsr()
    valence = np.asarray(vertex_edge.sum(1)).ravel()
    vertex_face = sp.csr_matrix((ones, (quads.ravel(), owner)), (count, faces))
    around = np.asarray(vertex_face.sum(1)).ravel()
    border = vertex_edge @ (1 - inner) > 0
    average = sp.diags(1 / np.maximum(around, 1)) @ vertex_face @ face_point
    ring = sp.diags(1 / np.maximum(valence, 1)) @ vertex_edge @ middle
    moved = sp.diags(1 / np.maximum(valence, 1)) @ (average + 2 * ring + sp.diags(valence - 3))
    fixed = (border | (valence < 3)).astype(float)
    vertex_point = sp.diags(1 - fixed) @ moved + sp.diags(fixed)
    smooth = sp.vstack([vertex_point, edge_point, face_point]).tocsr()
    linear = sp.vstack([sp.identity(count), middle, face_point]).tocsr()
    centre = count + edges + np.arange(faces)
    new = np.concatenate(
        [
            np.stack(
                [quads[:, k], count + edge_of[:, k], centre, count + edge_of[:, (k - 1) % 4]], 1
            )
            for k in range(4)
        ]
    )
    return smooth, new, linear


def triangles(quads: np.ndarray) -> np.ndarray:
    """Two triangles [2F,3] a quad [F,4]."""
    return np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])


def unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors [...,3] of length one."""
    return vectors / (np.linalg.norm(vectors, axis=-1, keepdims=True) + 1e-12)


def vertex_normals(points: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Area-weighted normals [N,3] of points [N,3] with triangles [F,3]."""
    a, b, c = points[faces[:, 0]], points[faces[:, 1]], points[faces[:, 2]]
    normal = np.cross(b - a, c - a)
    total = np.empty_like(points)
    corners = faces.T.ravel()
    for axis in range(3):
        total[:, axis] = np.bincount(corners, np.tile(normal[:, axis], 3), len(points))
    return unit(total)


def rotation(axis: np.ndarray, angle: float) -> np.ndarray:
    """Matrix [3,3] of a turn by `angle` radians about an axis (Rodrigues)."""
    x, y, z = np.asarray(axis, float) / (np.linalg.norm(axis) + 1e-12)
    k = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * k + (1 - np.cos(angle)) * k @ k


def ribbons(
    strands: np.ndarray, radius: np.ndarray, camera: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Strips that face the camera: vertices [M*K*2,3] and triangles of strands [M,K,3].

    radius [M,K] in cm. Triangle i belongs to strand (i % (M * (K - 1))) // (K - 1).
    """
    count, knots = strands.shape[:2]
    tangent = np.gradient(strands, axis=1)
    side = unit(np.cross(tangent, camera - strands)) * radius[..., None]
    vertices = np.stack([strands - side, strands + side], 2).reshape(-1, 3)
    first = (np.arange(count)[:, None] * knots + np.arange(knots - 1)[None]).ravel() * 2
    faces = np.concatenate(
        [np.stack([first, first + 1, first + 2], 1), np.stack([first + 1, first + 3, first + 2], 1)]
    )
    return vertices, faces


def barycentric(corners: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Weights [N,3] of points [N,3] in triangles [N,3,3] (Ericson 2004, 3.4)."""
    a, b = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    p = points - corners[:, 0]
    aa, ab, bb = (a * a).sum(1), (a * b).sum(1), (b * b).sum(1)
    pa, pb = (p * a).sum(1), (p * b).sum(1)
    area = np.maximum(aa * bb - ab * ab, 1e-18)
    v, w = (bb * pa - ab * pb) / area, (aa * pb - ab * pa) / area
    weights = np.clip(np.stack([1 - v - w, v, w], 1), 0, 1)
    return weights / weights.sum(1, keepdims=True)
