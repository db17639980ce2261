"""Measures how well the embeddings of an image's patches cluster by the object that each patch shows.

The measures of Nguyen et al. 2022 (arXiv 2210.07646), published code `ViT_embedding_visualization.ipynb`: DBSCAN, whose
radius comes from the objects themselves, then purity, silhouette, cosines and labels of its clusters. Beside them stand
k-means, told how many objects there are, and a linear probe (`probe`), which sees all images.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int, Shaped
from sklearn.cluster import DBSCAN, KMeans
from sklearn.linear_model import RidgeClassifier
from sklearn.metrics import silhouette_score
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

MIN_SAMPLES = 3  # of DBSCAN; also the patches that an object must have at least
NOISE = -1
FOLDS = 5
_STARTS = 4  # of k-means

MEASURES = {
    "purity": "purity",
    "silhouette": "silhouette",
    "in_cluster_cosine": "cosine in clusters",
    "in_object_cosine": "cosine in objects",
    "unique_label_ratio": "unique-label ratio",
    "clusters_per_object": "clusters per object",
    "kmeans_purity": "purity of k-means",
}


def radius(tokens: Float[np.ndarray, "patch channel"], objects: Int[np.ndarray, " patch"]) -> float:
    """Finds DBSCAN's eps: the mean distance of consecutive patches of an object, over its patches, then over objects.

    Args:
        tokens: embeddings in raster order.
        objects: the object of each patch, all above 0; each has two patches or more.
    """
    own = [tokens[objects == number] for number in np.unique(objects)]
    return float(np.mean([np.linalg.norm(np.diff(some, axis=0), axis=1).mean() for some in own]))


def clustered(
    tokens: Float[np.ndarray, "patch channel"], objects: Int[np.ndarray, " patch"]
) -> Int[np.ndarray, " patch"]:
    """The cluster of each patch by DBSCAN with Euclidean distances; -1 for noise. Arguments as of `radius`."""
    eps = max(radius(tokens, objects), np.finfo(np.float32).tiny)  # 0 where all patches of an object are the same
    return DBSCAN(eps=eps, min_samples=MIN_SAMPLES).fit(tokens).labels_


def measures(
    tokens: Float[np.ndarray, "patch channel"],
    objects: Int[np.ndarray, " patch"],
    kinds: Sequence[str],
    clusters: Int[np.ndarray, " patch"],
) -> dict[str, float]:
    """The published measures of a clustering, the first six of `MEASURES`.

    Noise counts against purity. Where nothing is clustered, silhouette and cosine in clusters are -1 and the others 0;
    the silhouette of a single cluster is 0.

    Args:
        tokens: embeddings of the patches that show an object, in raster order.
        objects: the object of each, all above 0.
        kinds: the class of object i at i - 1.
        clusters: the cluster of each, -1 for noise.
    """
    numbers, found = np.unique(objects), np.setdiff1d(clusters, NOISE)
    shared = np.array([[np.sum((clusters == c) & (objects == o)) for o in numbers] for c in found])
    inside = clusters != NOISE
    unit = tokens / np.maximum(np.linalg.norm(tokens, axis=1, keepdims=True), 1e-12)
    dominant = {kinds[numbers[row.argmax()] - 1] for row in shared}
    if not len(found):
        silhouette = in_cluster = -1.0
    else:
        many = 1 < len(found) < inside.sum()
        silhouette = silhouette_score(tokens[inside], clusters[inside], metric="cosine") if many else 0.0
        in_cluster = _inner(unit, clusters, found)
    return {
        "purity": float(sum(row.max() for row in shared) / len(objects)),
        "silhouette": float(silhouette),
        "in_cluster_cosine": in_cluster,
        "in_object_cosine": _inner(unit, objects, numbers),
        "unique_label_ratio": len(dominant) / len({kinds[number - 1] for number in numbers}),
        "clusters_per_object": len(found) / len(numbers),
    }


def kmeans_purity(tokens: Float[np.ndarray, "patch channel"], objects: Int[np.ndarray, " patch"], seed: int) -> float:
    """The purity of k-means with as many clusters as there are objects; arguments as of `measures`."""
    numbers = np.unique(objects)
    different = min(len(numbers), len(np.unique(tokens, axis=0)))
    found = KMeans(different, n_init=_STARTS, random_state=seed).fit(tokens).labels_
    return sum(np.unique(objects[found == c], return_counts=True)[1].max() for c in range(different)) / len(objects)


def probe(
    tokens: Float[np.ndarray, "patch channel"],
    classes: Shaped[np.ndarray, " patch"],
    images: Int[np.ndarray, " patch"],
) -> Float[np.ndarray, " image"] | None:
    """Trains a linear probe on other images, and gives the share of each image's patches whose class it gets right.

    The probe is a ridge regression of standardised embeddings to classes, in five folds over images: it has a closed
    form, so that every layer of every setting can have one.

    Args:
        tokens: embeddings of patches of all images.
        classes: the class of what each shows.
        images: which image each belongs to.

    Returns:
        A share for each image, in the order of their numbers; None where there are fewer than two images or classes.
    """
    numbers = np.unique(images)
    if len(numbers) < 2 or len(np.unique(classes)) < 2:
        return None
    right = np.zeros(len(tokens), bool)
    for train, test in GroupKFold(min(FOLDS, len(numbers))).split(tokens, classes, images):
        if len(np.unique(classes[train])) > 1:
            linear = make_pipeline(StandardScaler(), RidgeClassifier()).fit(tokens[train], classes[train])
            right[test] = linear.predict(tokens[test]) == classes[test]
    return np.array([right[images == number].mean() for number in numbers])


def _inner(unit: np.ndarray, labels: np.ndarray, numbers: np.ndarray) -> float:
    """The mean cosine over the pairs within each label, then over labels; a label of one patch has no pairs."""
    groups = [unit[labels == number] for number in numbers]
    means = [
        (np.square(some.sum(axis=0)).sum() - np.square(some).sum()) / (len(some) * (len(some) - 1))
        for some in groups
        if len(some) > 1
    ]
    return float(np.mean(means)) if means else 0.0
