"""PyTorch files (.pth) written byte by byte, honest and otherwise, without PyTorch.

An archive is a list of entries (name, data), stored as torch.save stores them; a pickle is made of the operations of
protocol 2, each a function here."""

import io
import struct
import zipfile

import numpy

STORAGES = {"float32": "FloatStorage", "float64": "DoubleStorage", "float16": "HalfStorage", "int64": "LongStorage"}


# ---- pickles ----

def text(word):
    word = word.encode()
    return b"X" + struct.pack("<I", len(word)) + word


def number(value):
    return b"J" + struct.pack("<i", value)


def numbers(values):
    return b"(" + b"".join(number(value) for value in values) + b"t"


def name(module, attribute):
    return b"c" + f"{module}\n{attribute}\n".encode()


ORDERED = name("collections", "OrderedDict") + b")R"


def dictionary(pairs):
    """pairs: of pickled keys and values."""
    return b"}(" + b"".join(key + value for key, value in pairs) + b"u"


def storage(key, count, kind="FloatStorage"):
    return b"(" + text("storage") + name("torch", kind) + text(key) + text("cpu") + number(count) + b"tQ"


def tensor(store, offset, sizes, strides):
    return (name("torch._utils", "_rebuild_tensor_v2") + b"(" + store + number(offset) + numbers(sizes) +
            numbers(strides) + b"\x89" + ORDERED + b"tR")


def program(value):
    return b"\x80\x02" + value + b"."


# ---- archives ----

def archive(entries, prefix="net", version=b"3\n"):
    """Bytes of a ZIP archive of these entries, all stored."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as zip_file:
        for entry, data in [*entries, ("version", version)]:
            zip_file.writestr(zipfile.ZipInfo(f"{prefix}/{entry}"), data)
    return file.getvalue()


def state_dict(tensors, wrap=lambda value: value, prefix=""):
    """Bytes of a file with these arrays, by name; wrap: what to put around the pickled dictionary."""
    pairs, entries = [], []
    for k, (key, array) in enumerate(tensors.items()):
        array = numpy.asarray(array)
        strides = [stride // array.itemsize for stride in array.strides]
        pairs.append((text(prefix + key), tensor(storage(str(k), array.size, STORAGES[array.dtype.name]), 0, array.shape,
                                                 strides)))
        entries.append((f"data/{k}", array.tobytes(order="A")))
    return archive([("data.pkl", program(wrap(dictionary(pairs)))), *entries])


def read(path):
    """The float32 arrays of a file that cords wrote, in the order of its storages; the archive must be sound."""
    with zipfile.ZipFile(path) as zip_file:
        assert zip_file.testzip() is None
        names = zip_file.namelist()
        prefix = names[0].split("/")[0]
        count = sum(entry.startswith(f"{prefix}/data/") for entry in names)
        return [numpy.frombuffer(zip_file.read(f"{prefix}/data/{k}"), "<f4") for k in range(count)]
