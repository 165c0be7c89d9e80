#!/usr/bin/env python3
"""What `cords bench peer` is compared with: a CordsNet trial and training step in PyTorch, written the way the authors'
published implementation works.

Every step does every convolution through torch.nn.functional, one step after the other; the input's convolution is
computed again for every area and step; weights are normalised when they are used, at every step; all images of the batch
run through the spontaneous phase; areas are updated from the last to the first.  No gradient is recorded in the
spontaneous phase.

    peer.py FILE.h5        answers lines "trial" and "step" on standard input with one line of JSON each

FILE.h5 is written by `cords bench peer`: /parameters as in a checkpoint, /trial/images and /step/images [image, channel,
row, column], /step/labels, and attributes with the numbers of steps.  Run alone: printf 'trial\nstep\n' | peer.py FILE.h5
"""

import argparse
import json
import sys
import time

import h5py
import torch
import torch.nn.functional as F


def text(attribute):
    return attribute.decode() if isinstance(attribute, bytes) else attribute


def peak_bytes():
    """Largest resident set.  Not getrusage: that counts the program that this one was started from as well."""
    with open("/proc/self/status") as status:
        return next(1024 * int(line.split()[1]) for line in status if line.startswith("VmHWM:"))


class Network:
    """Parameters as leaves with gradients, and the equation of SPEC section 1."""

    def __init__(self, file):
        self.parameters = {}
        file["parameters"].visititems(self.read)
        self.depth = int(file.attrs["areas"])
        self.strides = [int(s) for s in file["peer/strides"]]
        self.alphas = [float(a) for a in file["peer/alphas"]]
        self.skip_names = text(file.attrs["skip_names"]).split(",")  # "-": the identity
        self.skip_strides = [int(s) for s in file["peer/skip_strides"]]
        self.stem_stride = int(file.attrs["stem_stride"])
        self.pool = int(file.attrs["pool_kernel"]), int(file.attrs["pool_stride"])

    def read(self, name, item):
        if isinstance(item, h5py.Dataset):
            self.parameters[name] = torch.from_numpy(item[...].astype("float32")).requires_grad_()

    def weight(self, name):
        """w = g v / |v| by output row, as torch's weight_norm parametrisation does at every use."""
        g = self.parameters[f"{name}.parametrizations.weight.original0"]
        v = self.parameters[f"{name}.parametrizations.weight.original1"]
        return torch._weight_norm(v, g, 0)

    def conv(self, name, x, stride=1):
        weight = self.weight(name)
        return F.conv2d(x, weight, stride=stride, padding=weight.shape[-1] // 2)

    def inp(self, images):
        x = self.conv("inp_conv", images, self.stem_stride)
        kernel, stride = self.pool
        return F.avg_pool2d(x, kernel, stride, padding=(kernel - 1) // 2) if kernel else x

    def area_input(self, i, r, images):
        inp = self.inp(images)  # for every area and step, used or not, as the original does
        if i == 0:
            return inp
        if i == 1:
            return F.relu(r[0]) + self.conv("inp_skip", inp, self.skip_strides[1])
        if self.skip_names[i] == "-":
            return F.relu(r[i - 1]) + F.relu(r[i - 2])
        return F.relu(r[i - 1]) + self.conv(self.skip_names[i], F.relu(r[i - 2]), self.skip_strides[i])

    def step(self, r, images):
        new = list(r)
        for i in reversed(range(self.depth)):
            drive = self.conv(f"area_area.{i}", self.area_input(i, r, images), self.strides[i])
            u = self.conv(f"area_conv.{i}", r[i]) + self.parameters[f"conv_bias.{i}"] + drive
            new[i] = (1 - self.alphas[i]) * r[i] + self.alphas[i] * F.relu(u)
        return new

    def read_out(self, r):
        features = (F.relu(r[-1]) + F.relu(r[-2])).mean(dim=(2, 3))
        return F.linear(features, self.weight("out_fc"), self.parameters["out_fc.bias"])

    def zero_state(self, batch):
        biases = [self.parameters[f"conv_bias.{i}"] for i in range(self.depth)]
        return [torch.zeros((batch, *bias.shape)) for bias in biases]


def spontaneous(network, images, steps):
    r = network.zero_state(len(images))
    blank = torch.zeros_like(images)
    with torch.no_grad():
        for _ in range(steps):
            r = network.step(r, blank)
    return r


def trial(network, images, steps):
    """Read-out at the end of the stimulus."""
    r = spontaneous(network, images, steps["spontaneous"])
    with torch.no_grad():
        for _ in range(steps["stimulus"]):
            r = network.step(r, images)
        return network.read_out(r)


def loss_of(network, images, labels, steps):
    """Stage 5: weighted cross-entropy of the last stimulus steps, and the distance from baseline after the return."""
    count = steps["loss"]
    weights = [10 ** (-3 + 3 * k / (count - 1)) if count > 1 else 1.0 for k in range(count)]
    baseline = spontaneous(network, images, steps["spontaneous"])
    r, loss = baseline, 0.0
    for t in range(steps["stimulus"]):
        r = network.step(r, images)
        k = t - (steps["stimulus"] - count)
        if k >= 0:
            loss = loss + weights[k] / count * F.cross_entropy(network.read_out(r), labels)
    blank = torch.zeros_like(images)
    distance, counted = 0.0, min(10, steps["return"])
    for t in range(steps["return"]):
        r = network.step(r, blank)
        if t >= steps["return"] - counted:
            distance = distance + sum(((a - b) ** 2).mean() for a, b in zip(r, baseline)) / (counted * network.depth)
    return loss + steps["spontaneous_weight"] * distance


def training_step(network, optimizer, images, labels, steps):
    optimizer.zero_grad()
    loss = loss_of(network, images, labels, steps)
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(network.parameters.values(), steps["clip"])
    optimizer.step()
    return loss.item(), norm.item()


def answer(request, network, optimizer, file, steps):
    images = torch.from_numpy(file[f"{request}/images"][...].astype("float32"))
    start = time.perf_counter()
    if request == "trial":
        result = {"logits": trial(network, images, steps).tolist()}
    else:
        labels = torch.from_numpy(file["step/labels"][...]).long()
        loss, norm = training_step(network, optimizer, images, labels, steps)
        result = {"loss": loss, "gradient_norm": norm}
    result["seconds"] = time.perf_counter() - start
    result["peak_bytes"] = peak_bytes()
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", help="what `cords bench peer` wrote: parameters, images, labels, numbers of steps")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="of PyTorch")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    with h5py.File(arguments.file, "r") as file:
        network = Network(file)
        names = ("spontaneous", "stimulus", "return", "loss")
        steps = {name: int(file.attrs[f"{name}_steps"]) for name in names}
        steps["spontaneous_weight"] = float(file.attrs["spontaneous_weight"])
        steps["clip"] = float(file.attrs["clip"])
        optimizer = torch.optim.AdamW(network.parameters.values(), lr=float(file.attrs["learning_rate"]), weight_decay=0.01)
        for line in sys.stdin:
            request = line.strip()
            if request not in ("trial", "step"):
                sys.exit(f"peer.py: '{request}' is neither trial nor step")
            print(json.dumps(answer(request, network, optimizer, file, steps)), flush=True)


if __name__ == "__main__":
    main()
