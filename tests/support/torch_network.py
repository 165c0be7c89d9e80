"""A small CordsNet by the names of PyTorch."""

import numpy

CHANNELS, SIDES, CLASSES = (4, 6, 6), (6, 3, 3), 5
G, V = ".parametrizations.weight.original0", ".parametrizations.weight.original1"


def network(dtype="float32"):
    """A CordsNet of three areas, with a stem and a skip, by the names of PyTorch."""
    random = numpy.random.default_rng(5)
    tensors = {}

    def kernel(name, *shape):
        v = random.normal(size=shape) * 0.3
        norm = numpy.sqrt((v ** 2).sum(axis=tuple(range(1, v.ndim)), keepdims=True))
        tensors[name + G], tensors[name + V] = 0.6 * norm, v

    kernel("inp_conv", CHANNELS[0], 1, 7, 7)
    kernel("inp_skip", CHANNELS[0], CHANNELS[0], 3, 3)
    for i, (channels, side) in enumerate(zip(CHANNELS, SIDES)):
        kernel(f"area_area.{i}", channels, CHANNELS[max(i - 1, 0)], 3, 3)
        kernel(f"area_conv.{i}", channels, channels, 3, 3)
        tensors[f"conv_bias.{i}"] = random.normal(size=(channels, side, side)) * 0.2
    kernel("skip_area.0", CHANNELS[1], CHANNELS[0], 1, 1)
    kernel("out_fc", CLASSES, CHANNELS[2])
    tensors["out_fc.bias"] = random.normal(size=CLASSES)
    return {name: array.astype(dtype) for name, array in tensors.items()}
