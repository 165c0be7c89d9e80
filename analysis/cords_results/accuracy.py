"""What workflows/accuracy.sh gathers: accuracies of data sets × networks × seeds."""

import dataclasses

import numpy


def deviation(values):
    """Standard deviation of one value, from a sample; NaN for fewer than two."""
    return float(numpy.std(values, ddof=1)) if len(values) > 1 else numpy.nan


@dataclasses.dataclass
class Row:
    """One data set and network: accuracies in per cent, one number per seed."""
    data: str
    network: str
    images: int
    recurrent: numpy.ndarray
    cnn: numpy.ndarray

    @property
    def difference(self):
        return self.recurrent - self.cnn

    @property
    def count(self):
        return len(self.recurrent)

    def text(self, what, sign="-"):
        """Mean ± standard deviation."""
        values = getattr(self, what)
        if not len(values):
            return "not run"
        spread = f" ± {deviation(values):.2f}" if len(values) > 1 else ""
        return f"{values.mean():{sign}.2f}{spread}"


class Sweep:
    """accuracy.h5 row by row."""

    def __init__(self, file):
        self.file = file
        self.data, self.networks = ([bytes(name).decode() for name in file[f"accuracy/{axis}"].values]
                                    for axis in ("data", "network"))

    def rows(self):
        values = {what: 100 * self.file[f"accuracy/{what}"].per("data", "network", "seed")
                  for what in ("recurrent", "cnn")}
        images = self.file["accuracy/images"].values
        for i, data in enumerate(self.data):
            for j, network in enumerate(self.networks):
                run = numpy.isfinite(values["recurrent"][i, j])
                yield Row(data, network, int(images[i]), values["recurrent"][i, j][run], values["cnn"][i, j][run])
