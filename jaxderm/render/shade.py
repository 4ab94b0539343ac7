"""Light on skin, hair, eyes and cloth, pixel by pixel: albedo times softened irradiance, plus highlights."""

import dataclasses

import numpy as np
from scipy.ndimage import gaussian_filter, zoom

from jaxderm.render import mesh
from jaxderm.render.description import Scene
from jaxderm.render.framing import Framing
from jaxderm.render.scene import Hits, light_positions

SCATTER_CM = (0.17, 0.08, 0.05)  # how far red, green and blue light spread in skin
BUMP = 0.45


@dataclasses.dataclass(frozen=True, eq=False)
class Lighting:
    """irradiance [R,R,3] at the supersampled size, and the scene's lights as centres, colours, sizes."""

    irradiance: np.ndarray
    centres: list[np.ndarray]
    colours: list[np.ndarray]
    spreads: list[float]
    ambient: np.ndarray


def lighting(scene: Scene, framing: Framing, hits: Hits, irradiance: np.ndarray) -> Lighting:
    """The light of a scene; irradiance [S,S,3] is smoothed and enlarged to the size of the hits."""
    size = hits.size
    covered = (hits.shape >= 0).reshape(size, size).astype(float)
    factor = size // irradiance.shape[0]
    share = covered.reshape(irradiance.shape[0], factor, irradiance.shape[1], factor).mean((1, 3))
    weight = gaussian_filter(share, 0.7) + 1e-3
    clean = np.stack([gaussian_filter(irradiance[..., k], 0.7) / weight for k in range(3)], -1)
    large = np.stack(
        [zoom(clean[..., k], factor, order=1, grid_mode=True, mode="nearest") for k in range(3)], -1
    )
    places = light_positions(scene, framing)
    return Lighting(
        large,
        [centre for centre, _ in places],
        [light.power * np.asarray(light.colour) for light in scene.lights],
        [light.size for light in scene.lights],
        scene.ambient * np.asarray(scene.ambient_colour),
    )


def spread_light(light: Lighting, mask: np.ndarray, pixel_cm: float) -> np.ndarray:
    """Irradiance [R,R,3] blurred within a mask [R,R], red the farthest: the cheap look of scattering."""
    weight = mask.astype(float)
    result = np.empty_like(light.irradiance)
    for k, reach in enumerate(SCATTER_CM):
        sigma = np.hypot(1.0, min(reach / pixel_cm, 14))
        total = gaussian_filter(light.irradiance[..., k] * weight, sigma)
        result[..., k] = total / (gaussian_filter(weight, sigma) + 1e-4)
    return result


def bumped(height, position, normal, mask, size: int) -> np.ndarray:
    """Normals [N,3] bent by a height in cm, all given at the pixels `mask` [N] (Mikkelsen 2008)."""
    grid = lambda values, width: _grid(values, mask, size, width)  # noqa: E731
    inside = np.zeros(size * size)
    inside[mask] = 1
    safe = gaussian_filter(inside.reshape(size, size), 1).ravel()[mask] > 0.999
    h, p, n = grid(height * BUMP, 1)[..., 0], grid(position, 3), grid(normal, 3)
    across, along = np.gradient(p, axis=1), np.gradient(p, axis=0)
    first, second = np.cross(along, n), np.cross(n, across)
    area = (across * first).sum(-1)
    slope = np.gradient(h, axis=1)[..., None] * first + np.gradient(h, axis=0)[..., None] * second
    bent = np.abs(area)[..., None] * n - np.sign(area)[..., None] * slope
    bent = mesh.unit(bent).reshape(-1, 3)[mask]
    bent = np.where(np.isfinite(bent).all(1, keepdims=True), bent, normal)
    return np.where(safe[:, None], bent, normal)


def _grid(values, mask, size, width):
    full = np.zeros((size * size, width))
    full[mask] = np.reshape(values, (len(mask), width))
    return full.reshape(size, size, width)


def shade_skin(
    light: Lighting, irradiance, position, view, normal, bent, albedo, roughness, specular, shade
) -> np.ndarray:
    """Radiance [N,3] of skin-like points: diffuse with bent normals and a GGX highlight (Walter 2007).

    irradiance [N,3]; view [N,3] towards the camera; normal and bent [N,3]; roughness, specular, shade [N].
    """
    ambient = float(light.ambient.mean())
    flat, rough = np.full(len(position), ambient), np.full(len(position), ambient)
    highlight = np.zeros_like(position)
    grazing = np.clip((bent * view).sum(1), 0, 1)
    for centre, colour, spread in zip(light.centres, light.colours, light.spreads):
        towards = mesh.unit(centre - position)
        power = colour.mean()
        facing = np.clip((bent * towards).sum(1), 0, 1)
        rough += power * facing
        flat += power * np.clip((normal * towards).sum(1), 0, 1)
        half = mesh.unit(towards + view)
        alpha = np.sqrt(roughness**4 + 0.15 * spread**2)
        cosine = np.clip((bent * half).sum(1), 0, 1)
        lobe = alpha**2 / (np.pi * (cosine**2 * (alpha**2 - 1) + 1) ** 2)
        fresnel = 0.028 + 0.97 * (1 - np.clip((view * half).sum(1), 0, 1)) ** 5
        strength = lobe * np.minimum(fresnel, 0.12) / 4 * facing * np.pi * specular
        highlight += strength[:, None] * colour / np.clip(0.3 + 0.7 * grazing, 0.3, 1)[:, None]
    open_sky = np.clip(irradiance.mean(1) / np.maximum(flat, 0.05), 0, 1)
    highlight *= (open_sky**1.5)[:, None]
    sheen = (
        specular * (0.028 + 0.12 * (1 - grazing) ** 5) * (0.6 * (1 - roughness) + 0.1) * open_sky
    )
    highlight += sheen[:, None] * light.ambient
    # Red light enters and leaves around a bump, blue does not.
    relief = np.clip(rough / flat, 0.3, 1.8)[:, None] ** np.array([0.6, 0.85, 1.0])
    return albedo * irradiance * relief * shade[:, None] + highlight * shade[:, None]


def shade_hair(light: Lighting, irradiance, position, view, tangent, colour) -> np.ndarray:
    """Radiance [N,3] of hair: soft diffuse light and two shifted highlights (Kajiya 1989, Scheuermann 2004)."""
    result = colour * irradiance * 0.95 + 0.02 * irradiance * colour**0.5
    dark = np.clip(irradiance.mean(1, keepdims=True), 0, 1.5)
    for centre, power in zip(light.centres, light.colours):
        half = mesh.unit(mesh.unit(centre - position) + view)
        along = (tangent * half).sum(1)
        for shift, width, strength, tint in ((0.06, 60.0, 0.035, 0.0), (-0.10, 18.0, 0.10, 1.0)):
            sine = np.sqrt(np.clip(1 - np.clip(along + shift, -1, 1) ** 2, 0, 1))
            lobe = (sine**width * strength)[:, None]
            result = result + lobe * power * dark * (colour * 2.2 if tint else 1.0)
    return result


def shade_eye(light: Lighting, irradiance, position, view, normal, albedo, shadow) -> np.ndarray:
    """Radiance [N,3] of an eye: diffuse, with the wet reflections of the lights."""
    result = albedo * irradiance * shadow[:, None]
    for centre, power, spread in zip(light.centres, light.colours, light.spreads):
        half = mesh.unit(mesh.unit(centre - position) + view)
        sharp = np.clip((normal * half).sum(1), 0, 1) ** (120 / max(spread, 0.08))
        result = result + (0.9 * sharp)[:, None] * power * np.minimum(shadow, 1)[:, None]
    return result
