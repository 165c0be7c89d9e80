"""Networks from PyTorch files and back: names, shapes, numbers and answers."""
# BESIDE OTHERS

import importlib.util
import re
import unittest

import h5py
import numpy

import commands  # tests/support
import torch_file
from torch_network import CLASSES, G, V, network

IMAGE = 24


def image(rows, columns, channels):
    y, x, c = numpy.ogrid[:rows, :columns, :channels]
    return ((37 * y + 17 * x + 101 * c) % 256) / 64 - 2


def convolve(x, weight, stride=1):
    """x: [row, column, in] with zeros around; plain sums."""
    k = weight.shape[-1]
    padded = numpy.pad(x, ((k // 2,) * 2, (k // 2,) * 2, (0, 0)))
    windows = numpy.lib.stride_tricks.sliding_window_view(padded, (k, k), axis=(0, 1))[::stride, ::stride]
    return numpy.einsum("yxcij,ocij->yxo", windows, weight)


def answer(tensors, spontaneous=100, stimulus=100):
    """Logits of the network above, from the equation in float64."""
    def weight(name):
        g, v = (tensors[name + part].astype("float64") for part in (G, V))
        return g * v / numpy.sqrt((v ** 2).sum(axis=tuple(range(1, v.ndim)), keepdims=True))

    w = {name[:-len(G)]: weight(name[:-len(G)]) for name in tensors if name.endswith(G)}
    bias = [tensors[f"conv_bias.{i}"].astype("float64").transpose(1, 2, 0) for i in range(3)]
    stem = convolve(image(IMAGE, IMAGE, 1), w["inp_conv"], 2)
    padded = numpy.pad(stem, ((1, 1), (1, 1), (0, 0)))
    inp = numpy.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(0, 1))[::2, ::2].mean(axis=(3, 4))
    r = [numpy.zeros_like(b) for b in bias]
    for t in range(spontaneous + stimulus):
        here = inp if t >= spontaneous else 0 * inp
        into = (here, r[0] + convolve(here, w["inp_skip"]), r[1] + convolve(r[0], w["skip_area.0"], 2))
        r = [0.8 * r[i] + 0.2 * numpy.maximum(0, convolve(r[i], w[f"area_conv.{i}"]) + bias[i] + convolve(
            into[i], w[f"area_area.{i}"], (1, 2, 1)[i])) for i in range(3)]
    return w["out_fc"] @ (r[1] + r[2]).mean(axis=(0, 1)) + tensors["out_fc.bias"]


class Convert(commands.Test):
    def write(self, name, contents):
        path = self.folder / name
        path.write_bytes(contents)
        return path

    def import_to(self, name, contents, *options):
        """What was printed, and the file made."""
        out = self.folder / f"{name}.h5"
        return self.done("convert", self.write(f"{name}.pth", contents), out, *options), out

    def self_check(self, printed):
        return re.search(r"self-check: sha256 of the logits ([0-9a-f]{64})", printed).group(1)


class Honest(Convert):
    def test_numbers_and_answer(self):
        tensors = network()
        printed, out = self.import_to("net", torch_file.state_dict(tensors))
        found = commands.parameters(out)
        self.assertEqual(sorted(found), sorted(tensors))
        for name, array in tensors.items():
            self.assertEqual(found[name].tobytes(), array.tobytes(), name)
            self.assertIn(f"matched: {name} ", printed)
        self.assertIn("24 matched, 0 missing, 0 unused", printed)
        with h5py.File(out) as file:
            numpy.testing.assert_allclose(file["self_check/logits"][...], answer(tensors), rtol=1e-5)
            self.assertEqual(file["self_check"].attrs["logits_sha256"].decode(), self.self_check(printed))
            self.assertEqual(file["run"].attrs["command"].decode(), "convert")

    def test_back(self):
        """.pth, .h5, .pth, .h5: the same numbers and the same answer, with what shapes do not tell."""
        options = ["-architecture_tau", "10,20,5", "-architecture_stimulus_steps", "17"]
        printed, first = self.import_to("first", torch_file.state_dict(network()), *options)
        second = self.folder / "second.pth"
        self.assertEqual(self.self_check(self.done("convert", first, second)), self.self_check(printed))
        self.assertEqual(sorted(data.tobytes() for data in torch_file.read(second)),
                         sorted(array.tobytes() for array in commands.parameters(first).values()))
        third = self.folder / "third.h5"
        self.assertEqual(self.self_check(self.done("convert", second, third)), self.self_check(printed))
        self.assert_same_arrays(first, third)

    def test_training_state(self):
        def wrap(state):
            optimizer = torch_file.dictionary([(torch_file.text("lr"), b"G\x3f\xe0" + bytes(6))])
            return torch_file.dictionary([(torch_file.text("epoch"), b"K\x07"), (torch_file.text("model"), state),
                                          (torch_file.text("optimizer"), optimizer)])

        plain, one = self.import_to("plain", torch_file.state_dict(network()))
        printed, other = self.import_to("state", torch_file.state_dict(network(), wrap, "module."))
        self.assert_same_arrays(one, other)
        self.assertEqual(self.self_check(plain), self.self_check(printed))
        for line in ("state dict: 'model'", "not read: epoch: 7", "not read: optimizer: dictionary of 1",
                     f"matched: out_fc.bias [{CLASSES}] float32 from module.out_fc.bias"):
            self.assertIn(line, printed)

    def test_types_and_strides(self):
        """float64 and float16 numbers, a transposed tensor."""
        for kind in ("float64", "float16"):
            tensors = network(kind)
            tensors["out_fc" + V] = numpy.asfortranarray(tensors["out_fc" + V])
            _, out = self.import_to(kind, torch_file.state_dict(tensors))
            for name, array in commands.parameters(out).items():
                numpy.testing.assert_array_equal(array, tensors[name].astype("float32"), name)

    def test_missing_and_unused(self):
        tensors = network()
        bias = tensors.pop("out_fc.bias")
        tensors["old.bias"] = bias
        path = self.write("other.pth", torch_file.state_dict(tensors))
        out = self.folder / "other.h5"
        self.assert_mistake(["convert", path, out], "-allow_missing", "out_fc.bias", "old.bias")
        self.assert_mistake(["convert", path, out, "-allow_missing", "out_fc.bias"], "-allow_unused", "old.bias")
        printed = self.done("convert", path, out, "-allow_missing", "out_fc.bias", "-allow_unused", "old.*")
        self.assertIn("missing: out_fc.bias [5], starts anew", printed)
        self.assertIn("unused: old.bias", printed)

    def test_analyses_run_on_it(self):
        data = commands.write_idx(self.folder / "data")
        tensors = network()
        _, out = self.import_to("analysed", torch_file.state_dict(tensors))
        _, ten = self.import_to("ten", torch_file.state_dict(tensors), "-classes", "10")
        self.done("evaluate", "-checkpoint", ten, "-dataset", "fashion_mnist", "-data", data, "-images", "4", "-output",
                  self.folder / "evaluation.h5")
        points = self.folder / "points.h5"
        self.done("analyse", "fixed_points", "-checkpoint", ten, "-dataset", "fashion_mnist", "-data", data, "-samples",
                  "0:1", "-output", points)
        self.done("analyse", "stability", "-checkpoint", ten, "-fixed_points", points, "-output",
                  self.folder / "stability.h5")

    def test_training_starts_from_it(self):
        """A network that travelled is where -initial begins: with a learning rate of almost 0 it stays what it was."""
        cnn = {"epochs": 1, "batch": 16, "samples": 16, "learning_rate": 1e-30, "weight_decay": 0}
        config = self.write_config("cnn.yaml", {"architecture": commands.ARCHITECTURE, "stages": ["compatibility"],
                                                "compatibility": cnn})
        fine = self.write_config("fine.yaml", {"architecture": commands.ARCHITECTURE, "stages": ["finetune"]})
        data = commands.write_idx(self.folder / "train_data")

        def train(output, *words, settings=config):
            return self.training(output, *words, config=settings, data=data)

        self.done(*train("cnn", "-seed", "3"))
        model, path, back = (self.folder / name for name in ("cnn/model.h5", "cnn.pth", "back.h5"))
        self.done("convert", model, path)
        self.done("convert", path, back)
        self.done(*train("random", "-seed", "9"))
        self.done(*train("begun", "-seed", "9", "-initial", back))
        first, second, other = (commands.parameters(self.folder / name / "model.h5")
                                for name in ("cnn", "begun", "random"))
        for name in (name for name in first if "running" not in name):
            numpy.testing.assert_allclose(second[name], first[name], atol=1e-6, err_msg=name)
        self.assertGreater(abs(other["out_fc.bias"] - first["out_fc.bias"]).max(), 1e-3)
        self.assert_mistake(train("no", "-initial", back, settings=fine), "batchnorm form", "recurrent form")
        self.assert_mistake(train("no", "-initial", back, "-architecture_channels", "3,3,3"), "another architecture")

    def test_names_of_files(self):
        path = self.write("good.pth", torch_file.state_dict(network()))
        for words, expected in (([path], "needs two files"), ([], "needs two files"),
                                ([path, self.folder / "x.pth"], "must end in"), ([path, self.folder / "x"], "must end"),
                                ([self.folder / "none.pth", self.folder / "x.h5"], "none.pth"),
                                ([path, self.folder / "no/x.h5"], "no/x.h5"),
                                ([path, self.folder / "x.h5", "-allow_unuse", "x"], "did you mean -allow_unused?"),
                                ([path, self.folder / "x.h5", "third"], "the word 'third'")):
            with self.subTest(words[1:]):
                self.assert_mistake(["convert", *words], expected)


@unittest.skipUnless(importlib.util.find_spec("torch"), "python3-torch is not installed (workflows/packages.sh bench)")
class WithTorch(Convert):
    """Files that PyTorch writes, and files that it reads."""

    def save(self, name, value):
        import torch
        path = self.folder / name
        torch.save(value, path)
        return path

    def state(self):
        import torch
        return {name: torch.from_numpy(array) for name, array in network().items()}

    def test_round_trip(self):
        import torch
        state, out, back = self.state(), self.folder / "torch.h5", self.folder / "back.pth"
        printed = self.done("convert", self.save("torch.pth", state), out)
        self.assertEqual(self.self_check(self.done("convert", out, back)), self.self_check(printed))
        loaded = torch.load(back)
        self.assertEqual(sorted(loaded), sorted(state))
        for name, tensor in state.items():
            self.assertEqual(loaded[name].dtype, torch.float32)
            self.assertTrue(torch.equal(loaded[name], tensor), name)

    def test_torch_computes_the_same(self):
        import torch
        from torch.nn import functional
        out = self.folder / "same.h5"
        state = self.state()
        self.done("convert", self.save("same.pth", state), out)

        def conv(name, x, stride=1):
            weight = torch._weight_norm(state[name + V], state[name + G], 0)
            return functional.conv2d(x, weight, stride=stride, padding=weight.shape[-1] // 2)

        shown = torch.from_numpy(image(IMAGE, IMAGE, 1).astype("float32")).permute(2, 0, 1)[None]
        inp = functional.avg_pool2d(conv("inp_conv", shown, 2), 3, 2, padding=1)
        r = [torch.zeros(1, *state[f"conv_bias.{i}"].shape) for i in range(3)]
        for t in range(200):
            here = inp if t >= 100 else 0 * inp
            into = (here, r[0] + conv("inp_skip", here), r[1] + conv("skip_area.0", r[0], 2))
            r = [0.8 * r[i] + 0.2 * torch.relu(conv(f"area_conv.{i}", r[i]) + state[f"conv_bias.{i}"] +
                                               conv(f"area_area.{i}", into[i], (1, 2, 1)[i])) for i in range(3)]
        weight = torch._weight_norm(state["out_fc" + V], state["out_fc" + G], 0)
        logits = functional.linear((r[1] + r[2]).mean(dim=(2, 3)), weight, state["out_fc.bias"])[0].numpy()
        with h5py.File(out) as file:
            numpy.testing.assert_allclose(file["self_check/logits"][...], logits, rtol=1e-5, atol=1e-5)

    def test_what_people_save(self):
        """Parameters, shared storages, transposed and half tensors, prefixes, an optimiser, NumPy numbers, sizes."""
        import collections
        import torch
        base = self.folder / "base.h5"
        state = self.state()
        self.done("convert", self.save("base.pth", state), base)
        changed = collections.OrderedDict(("module." + name, tensor) for name, tensor in state.items())
        joined = torch.cat([state["conv_bias.1"].flatten(), state["conv_bias.2"].flatten()])
        changed["module.conv_bias.1"] = joined[:54].view(6, 3, 3)
        changed["module.conv_bias.2"] = joined[54:].view(6, 3, 3)
        changed["module.out_fc" + V] = state["out_fc" + V].t().contiguous().t()
        changed["module.inp_conv" + V] = torch.nn.Parameter(state["inp_conv" + V].double())
        optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.ones(3))])
        whole = {"epoch": numpy.float64(3.5), "size": torch.Size([1, 2]), "state_dict": changed, "best": torch.tensor(0.5),
                 "optimizer": optimizer.state_dict(), "device": torch.device("cpu"), "seed": 2 ** 65, "note": None}
        out = self.folder / "whole.h5"
        printed = self.done("convert", self.save("whole.pth.tar", whole), out)
        self.assert_same_arrays(base, out)
        self.assertIn("state dict: 'state_dict'", printed)
        self.assertIn("not read: best: tensor", printed)

    def test_modules_and_old_files(self):
        import torch
        module = torch.nn.Linear(2, 2)
        path = self.folder / "old.pth"
        torch.save(self.state(), path, _use_new_zipfile_serialization=False)
        for file, expected in ((self.save("module.pth", module), "torch.nn.modules.linear.Linear"), (path, "before 1.6")):
            self.assert_mistake(["convert", file, self.folder / "x.h5"], expected)

    def test_resnet18(self):
        """A file with the names and shapes of torchvision's ResNet-18 becomes the CNN of R8, tensor by tensor."""
        import torch
        random = torch.Generator().manual_seed(1)
        state = {}

        def conv(name, *shape):
            state[name + ".weight"] = torch.randn(shape, generator=random) * 0.05

        def norm(name, channels):
            for part in ("weight", "bias", "running_mean", "running_var"):
                state[f"{name}.{part}"] = torch.rand(channels, generator=random) + 0.5
            state[f"{name}.num_batches_tracked"] = torch.tensor(9)

        conv("conv1", 64, 3, 7, 7)
        norm("bn1", 64)
        for layer in range(1, 5):
            channels = 32 << layer
            for block in range(2):
                inside = channels // 2 if layer > 1 and block == 0 else channels
                place = f"layer{layer}.{block}."
                conv(place + "conv1", channels, inside, 3, 3)
                norm(place + "bn1", channels)
                conv(place + "conv2", channels, channels, 3, 3)
                norm(place + "bn2", channels)
                if inside != channels:
                    conv(place + "downsample.0", channels, inside, 1, 1)
                    norm(place + "downsample.1", channels)
        conv("fc", 1000, 512)
        state["fc.bias"] = torch.zeros(1000)
        self.assertEqual(len(state), 122)
        path, out = self.save("resnet18.pth", state), self.folder / "resnet18.h5"
        printed = self.done("convert", path, out)
        self.assertIn("network: R8, batchnorm form, 8 areas, images 224 x 224 x 3, 1000 classes", printed)
        self.assertEqual(re.findall(r"missing: (\S+)", printed), ["inp_skip" + G, "inp_skip" + V])
        found = commands.parameters(out)
        for name, old in (("inp_conv", "conv1"), ("area_area.4", "layer3.0.conv1"), ("area_conv.7", "layer4.1.conv2"),
                          ("skip_area.2", "layer4.0.downsample.0"), ("out_fc", "fc")):
            numpy.testing.assert_array_equal(found[name + V], state[old + ".weight"].numpy())
            norms = state[old + ".weight"].flatten(1).norm(dim=1).numpy()
            numpy.testing.assert_allclose(found[name + G].ravel(), norms, rtol=1e-6)
        for name, old in (("inp_norm.running_var", "bn1.running_var"), ("area_norm.5.weight", "layer3.1.bn1.weight"),
                          ("area_nrm2.2.running_mean", "layer2.0.bn2.running_mean"),
                          ("skip_norm.0.bias", "layer2.0.downsample.1.bias")):
            numpy.testing.assert_array_equal(found[name], state[old].numpy())
        printed = self.done("convert", path, self.folder / "grey.h5", "-classes", "10", "-image_channels", "1")
        self.assertIn("unused: fc.weight", printed)
        self.assertIn("unused: conv1.weight", printed)
        self.assertIn("missing: out_fc.bias [10], starts anew", printed)


if __name__ == "__main__":
    unittest.main()
