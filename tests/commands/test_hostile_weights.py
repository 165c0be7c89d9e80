"""PyTorch files that would run something, claim what is not there, or are broken: each is refused with one line and
status 2, within a second and 200 MB, and leaves nothing behind."""
# BESIDE OTHERS

import os
import struct
import subprocess
import threading
import unittest
import zlib

import numpy

import commands  # tests/support
import torch_file
from torch_file import dictionary, name, number, numbers, program, storage, tensor, text
from torch_network import network

SECONDS_MAX, MEMORY_MAX = 1, 200e6
HUGE = 2 ** 31 - 1


def long(value, count):
    """An integer of LONG1, little-endian."""
    return b"\x8a" + bytes([count]) + value.to_bytes(count, "little", signed=True)


def with_data(data, *entries):
    """An archive whose data.pkl has these bytes."""
    return torch_file.archive([("data.pkl", data), *entries])


def with_pickle(value, *entries):
    return with_data(program(value), *entries)


def with_value(value, count=16):
    """A state dict of one tensor that is this value, beside a storage of `count` bytes."""
    return with_pickle(dictionary([(text("a"), value)]), ("data/0", bytes(count)))


def with_tensor(offset, sizes, strides, store=storage("0", 4)):
    return with_value(tensor(store, offset, sizes, strides))


def rebuilt(*arguments, function="_rebuild_tensor_v2"):
    """What such a call makes of pickled arguments."""
    return name("torch._utils", function) + b"(" + b"".join(arguments) + b"tR"


def named(key):
    """A state dict of one tensor with this pickled name."""
    return with_pickle(dictionary([(key, tensor(storage("0", 4), 0, [4], [1]))]), ("data/0", bytes(16)))


def good():
    return torch_file.state_dict(network())


def damaged(mark, offset, change, which=0):
    """A good file with other bytes behind the which-th occurrence of a mark."""
    contents, at = bytearray(good()), -1
    for _ in range(which + 1):
        at = contents.index(mark, at + 1)
    contents[at + offset:at + offset + len(change)] = change
    return bytes(contents)


def bomb():
    """One entry that would be 50 MB."""
    data, entry = zlib.compress(bytes(50000000))[2:-4], b"net/data.pkl"
    facts = struct.pack("<HHHHHIIIHH", 20, 0, 8, 0, 33, 0, len(data), 50000000, len(entry), 0)
    local = b"PK\3\4" + facts + entry + data
    central = b"PK\1\2\x14\0" + facts + struct.pack("<HHHII", 0, 0, 0, 0, 0) + entry
    return local + central + b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, 1, 1, len(central), len(local), 0)


def zip64(count=None, size=None, start=None, at=None, count_here=None, disks=1):
    """A good file with a ZIP64 end of its directory; what is given replaces the truth."""
    contents = good()
    end = contents.rindex(b"PK\5\6")
    true_count, true_size, true_start = struct.unpack("<HII", contents[end + 10:end + 20])
    count = true_count if count is None else count
    end64 = b"PK\6\6" + struct.pack("<QHHIIQQQQ", 44, 45, 45, 0, 0, count if count_here is None else count_here, count,
                                    true_size if size is None else size, true_start if start is None else start)
    locator = b"PK\6\7" + struct.pack("<IQI", 0, end if at is None else at, disks)
    return contents[:end] + end64 + locator + contents[end:]


class Refused(commands.Test):
    def run_convert(self, path):
        """Exit status, output, errors and what the process used."""
        child = subprocess.Popen(commands.command("convert", path, self.folder / "out.h5"), env=commands.environment(),
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        timer = threading.Timer(commands.SECONDS_MAX, child.kill)
        timer.start()
        with child.stderr, child.stdout:
            errors, output = child.stderr.read(), child.stdout.read()
        _, status, usage = os.wait4(child.pid, 0)
        timer.cancel()
        child.returncode = os.waitstatus_to_exitcode(status)
        return child.returncode, output, errors, usage

    def refused(self, contents, expected):
        """Processor time is what is looked at, up to three times: the machine may be busy."""
        path = self.folder / "hostile.pth"
        path.write_bytes(contents)
        before = commands.tree(self.folder)
        for attempt in range(3):
            status, output, errors, usage = self.run_convert(path)
            self.assertEqual((status, output), (2, ""), errors)
            self.assertRegex(errors, r"\Acords: [ -~]*\n\Z")
            self.assertLess(len(errors), 1000)
            self.assertIn(expected, errors)
            self.assertEqual(commands.tree(self.folder), before)
            self.assertLess(1024 * usage.ru_maxrss, MEMORY_MAX)  # at least what this program had when it began it
            if usage.ru_utime + usage.ru_stime < SECONDS_MAX:
                return
        self.fail(f"took {usage.ru_utime:.2f} + {usage.ru_stime:.2f} s")

    def all_refused(self, cases, count_min):
        count = 0
        for contents, expected in cases:
            count += 1
            with self.subTest(expected, case=count):
                self.refused(contents, expected)
        self.assertGreaterEqual(count, count_min)


class Pickles(Refused):
    def calls(self):
        """Code, in every way a pickle can ask for it."""
        shell = text("touch " + str(self.folder / "owned")) + b"\x85R"
        yield name("os", "system") + shell, "'os.system'"
        yield name("posix", "system") + shell, "'posix.system'"
        yield name("builtins", "eval") + shell, "'builtins.eval'"
        yield name("__builtin__", "getattr") + shell, "'__builtin__.getattr'"
        yield name("subprocess", "Popen") + shell, "'subprocess.Popen'"
        yield name("torch.hub", "load") + shell, "'torch.hub.load'"
        yield name("torch._utils", "_rebuild_tensor_v2.__globals__") + shell, "_rebuild_tensor_v2.__globals__"
        yield name("collections", "OrderedDict.__reduce__") + shell, "OrderedDict.__reduce__"
        yield name("collections OrderedDict\x00", "x") + shell, "OrderedDict?"
        yield name("torch", "FloatStorage\x1b[2J") + shell, "torch.FloatStorage?[2J"
        yield name("a" * 1000000, "b" * 1000000) + shell, "asks for 'aaa"
        yield name("", "") + shell, "asks for '.'"
        yield text("os") + text("system") + b"\x93" + shell, "operation 0x93"  # STACK_GLOBAL
        yield b"(S'x'\nios\nsystem\n", "operation"  # INST
        yield b"(" + name("collections", "OrderedDict") + b"o", "operation"  # OBJ
        yield name("collections", "OrderedDict") + b")\x81", "operation 0x81"  # NEWOBJ
        yield name("collections", "OrderedDict") + b")}\x92", "operation 0x92"  # NEWOBJ_EX
        yield b"\x82\x01", "operation 0x82"  # EXT1, a name from a registry
        yield text("x") + b")R", "no function"
        yield name("collections", "OrderedDict") + text("x") + b"R", "no function"
        yield name("collections", "OrderedDict") + b"K\x01\x85R", "OrderedDict from arguments"
        yield b"K\x01}b", "attributes to something"

    def containers(self):
        """Nesting, cycles and floods."""
        yield b"]" * 100000 + b"a" * 99999, "nested deeper"
        yield b"(" * 1000000 + b"t" * 1000000, "nested deeper"
        yield b"]q\0h\0a", "contains itself"
        yield b"]q\0]q\1h\0aa", "contains itself"
        yield b"}q\0(" + text("a") + b"h\0u", "contains itself"
        yield b"}q\0(h\0" + text("a") + b"u", "contains itself"
        yield b"]q\0h\0Qa", "contains itself"
        yield b"]2a", "operation 0x32"  # DUP
        yield b"]q\0" + b"".join(b"](h%ch%ceq%c" % (k, k, k + 1) for k in range(62)), "does not end with one value"
        yield b"]" + b"".join(b"q%c0](h%ch%ce" % (k, k, k) for k in range(100)), "operation 0x30"  # POP
        yield b"]q\0" + b"".join(b"h%ch%c\x86q%c" % (k, k, k + 1) for k in range(200)) + b"\x86" * 200, "nested deeper"
        yield b"(" + b")" * 2000000 + b"t", "more than 1000000 values"
        yield b"]q\0(" + b"h\0" * 3000000 + b"e", "contains itself"
        yield b"]()q\0" + b"h\0" * 3000000 + b"e", "no dictionary"
        yield b"N" * 9000000, "files of tensors need less"
        yield b"}(K\x01u", "key without a value"
        yield b"](K\x01K\x01u", "no dictionary"
        yield b"K\x01K\x01a", "no list"
        yield b"K\x01a", "adds to a container"
        yield b"s", "takes more values"
        yield b"(t" + b"t", "has not begun"
        yield b"}(R", "takes more values"
        yield b"Q", "takes more values"

    def numbers(self):
        """Lengths and indices that lie."""
        yield b"X" + b"\xff" * 4 + b"a", "cut off"
        yield b"X" + b"\xff\xff\xff\x7f" + b"a", "cut off"
        yield b"\x8a\xff" + b"a" * 9, "cut off"  # LONG1
        yield b"\x8b\xff\xff\xff\x7f" + b"a" * 9, "operation 0x8b"  # LONG4
        yield b"\x95" + b"\xff" * 8 + b"}", "operation 0x95"  # FRAME
        yield b"\x8d" + b"\xff" * 8 + b"a", "operation 0x8d"  # BINUNICODE8
        yield b"\x8e" + b"\xff" * 8 + b"a", "operation 0x8e"  # BINBYTES8
        yield b"I99999999999999999999\n", "operation 0x49"  # INT, in letters
        yield b"}\x94", "operation 0x94"  # MEMOIZE
        yield b"Nr\xff\xff\xff\x7f", "remembers"
        yield b"Nr\xff\xff\xff\xff", "remembers"
        yield b"q\0", "remembers a value that is not there"
        yield b"h\x07", "not remembered"
        yield b"j\xff\xff\xff\xff", "not remembered"
        yield b"K\x07", "no dictionary"
        yield b"K\x01Q", "no dictionary"
        yield b"}}", "does not end with one value"
        yield b"}(", "does not end with one value"
        yield b"", "does not end with one value"
        yield b"G\x00", "cut off"

    def whole(self):
        """The pickle from its first byte to its last."""
        yield b"", "cut off"
        yield b"\x80", "cut off"
        yield b"\x80\x02", "cut off"
        yield b"\x80\x02}", "cut off"
        yield b"\x80\x02}.}.", "goes on after its end"
        yield b"\x80\xff}.", "protocol 255"
        yield b"\x80\x04\x95\x02\0\0\0\0\0\0\0}.", "protocol 4"
        yield b"}.", "does not begin as one"
        yield b"(dp0\n.", "does not begin as one"
        yield b"\0" * 1000000, "does not begin as one"

    def test_calls(self):
        self.all_refused(((with_pickle(value), expected) for value, expected in self.calls()), 20)
        self.assertFalse((self.folder / "owned").exists())

    def test_containers(self):
        self.all_refused(((with_pickle(value), expected) for value, expected in self.containers()), 20)

    def test_numbers(self):
        self.all_refused(((with_pickle(value), expected) for value, expected in self.numbers()), 15)

    def test_whole(self):
        self.all_refused(((with_data(data), expected) for data, expected in self.whole()), 10)


class Tensors(Refused):
    def views(self):
        """Sizes, strides and offsets."""
        yield with_tensor(0, [4], [-1]), "negative"
        yield with_tensor(0, [-4], [1]), "negative"
        yield with_tensor(-1, [4], [1]), "outside its storage"
        yield with_tensor(HUGE, [0], [1]), "outside its storage"
        yield with_tensor(3, [2], [1]), "beyond the end"
        yield with_tensor(0, [5], [1]), "beyond the end"
        yield with_tensor(0, [HUGE, HUGE, HUGE], [0, 0, 0]), "more elements than its storage"
        yield with_tensor(0, [HUGE] * 8, [0] * 8), "more elements than its storage"
        yield with_tensor(0, [1] * 9, [1] * 9), "more than 8 dimensions"
        yield with_tensor(0, [1] * 100000, [1] * 100000), "more than 8 dimensions"
        yield with_tensor(0, [2], [HUGE]), "beyond the end"
        yield with_tensor(0, [2, 2], [1]), "2 sizes and 1 strides"
        yield with_tensor(0, [4], [1]), "no CordsNet"
        view = storage("0", 4)
        yield with_value(rebuilt(view, long(2 ** 63 - 1, 8), numbers([4]), numbers([1]))), "outside its storage"
        yield with_value(rebuilt(view, long(-2 ** 63, 8), numbers([4]), numbers([1]))), "outside its storage"
        yield with_value(rebuilt(view, long(2 ** 80, 11), numbers([4]), numbers([1]))), "lacks storage, offset"
        most = b"(" + long(2 ** 63 - 1, 8) + b"t"
        yield with_value(rebuilt(view, number(0), most, numbers([1]))), "negative or no number"
        yield with_value(rebuilt(view, number(0), numbers([4]), most)), "negative or no number"
        yield with_value(rebuilt(view, number(1), numbers([2]), b"(" + long(2 ** 59 - 1, 8) + b"t")), "beyond the end"
        yield with_value(rebuilt(view, number(0), b"(" + text("4") + b"t", numbers([1]))), "negative or no number"
        yield with_value(rebuilt(view, b"N", numbers([4]), numbers([1]))), "lacks storage, offset"
        yield with_value(rebuilt(view, number(0), b"N", numbers([1]))), "no sizes"
        yield with_value(rebuilt(view, number(0), b"}", numbers([1]))), "no sizes"
        yield with_value(rebuilt()), "lacks storage, offset"
        yield with_value(rebuilt(view)), "lacks storage, offset"
        yield with_value(rebuilt(function="_rebuild_parameter")), "no tensor"
        yield with_value(rebuilt(b"N", function="_rebuild_parameter")), "no tensor"
        twice = rebuilt(rebuilt(tensor(view, 0, [4], [1]), function="_rebuild_parameter"), function="_rebuild_parameter")
        yield with_value(twice), "no tensor"

    def storages(self):
        yield storage("0", HUGE), "should have 2147483647"
        yield storage("0", -4), "should have -4"
        yield storage("0", 3), "should have 3"
        yield storage("0", 4, "DoubleStorage"), "numbers of type float64"
        yield storage("0", 4, "HalfStorage"), "numbers of type float16"
        yield storage("0", 4, "QInt8Storage"), "'torch.QInt8Storage'"
        yield storage("0", 2, "ComplexFloatStorage"), "'torch.ComplexFloatStorage'"
        yield storage("../0", 4), "no entry 'data/../0'"
        yield storage("/etc/passwd", 4), "no entry"
        yield storage("0\0", 4), "no entry 'data/0?'"
        yield storage("\u2215", 4), "no entry"
        yield storage("0" * 1000000, 4), "too long a key"
        yield b"NQ", "no storage"
        yield b")Q", "no storage"
        yield b"(" + text("storage") + b"tQ", "no storage"
        word, kind, key, place, count = text("storage"), name("torch", "FloatStorage"), text("0"), text("cpu"), number(4)
        for parts, expected in (((text("module"), kind, key, place, count), "no storage"),
                                ((word, text("torch FloatStorage"), key, place, count), "no type"),
                                ((word, name("torch", "Size"), key, place, count), "no type"),
                                ((word, kind, b"K\0", place, count), "no type, key or size"),
                                ((word, kind, key, place, b"G" + bytes(8)), "no type, key or size"),
                                ((word, kind, key, place), "no storage")):
            yield b"(" + b"".join(parts) + b"tQ", expected
        yield b"(" + word + kind + key + place + count + b"tQQ", "no storage"

    def names(self):
        """Of tensors."""
        yield text(""), "no text of 1 to 255"
        yield text("a" * 256), "no text of 1 to 255"
        yield text("a" * 1000000), "no text of 1 to 255"
        yield b"K\x01", "no text of 1 to 255"
        yield b"]", "no text of 1 to 255"
        yield text("a\0b"), "'a?b' has letters"
        yield text("a\nb"), "'a?b' has letters"
        yield text("a\x1b[2J"), "has letters"
        yield text("\u0430rea_conv.0"), "has letters"
        yield b"X\2\0\0\0\xff\xfe", "has letters"
        yield text("../../etc/passwd"), "has letters"
        yield text("/"), "has letters"

    def networks(self):
        """Files that look like networks and are none."""
        tensors = network()
        bias = tensors["conv_bias.0"]
        yield torch_file.state_dict({**tensors, "conv_bias.0": numpy.zeros((4, 6, 7), "float32")}), "no stride makes"
        yield torch_file.state_dict({**tensors, "conv_bias.0": bias[:3]}), "conv_bias.0"
        yield torch_file.state_dict({**tensors, "out_fc.bias": numpy.zeros(6, "float32")}), "out_fc.bias"
        for value in (float("nan"), float("inf"), -float("inf")):
            spoiled = tensors["out_fc.bias"].copy()
            spoiled[3] = value
            yield torch_file.state_dict({**tensors, "out_fc.bias": spoiled}), "not finite"
        view = tensor(storage("0", 4), 0, [4], [1])
        pairs = [(text("a"), view), (text("a"), view)]
        yield with_pickle(dictionary(pairs), ("data/0", bytes(16))), "two tensors of the name"
        pairs[0] = text("module.a"), view
        yield with_pickle(dictionary(pairs), ("data/0", bytes(16))), "same name without their prefixes"
        inner = dictionary([(text("a"), view)])
        pairs = [(text("one"), inner), (text("other"), inner)]
        yield with_pickle(dictionary(pairs), ("data/0", bytes(16))), "several dictionaries of tensors"
        kernel = tensor(storage("0", 4), 0, [1, 1, 1, 1], [1] * 4)
        many = [(text(f"{layer}.{k}.weight"), kernel) for layer in ("area_conv", "area_area") for k in range(33)]
        yield with_pickle(dictionary(many), ("data/0", bytes(16))), "more than 32 areas"

    def test_views(self):
        self.all_refused(self.views(), 20)

    def test_storages(self):
        self.all_refused(((with_tensor(0, [4], [1], store), expected) for store, expected in self.storages()), 15)

    def test_names(self):
        self.all_refused(((named(key), expected) for key, expected in self.names()), 10)

    def test_networks(self):
        self.all_refused(self.networks(), 5)


class Archives(Refused):
    def archives(self):
        central, local, end = b"PK\1\2", b"PK\3\4", b"PK\5\6"
        contents = good()
        yield b"", "only 0 bytes"
        yield b"hello" * 100, "no ZIP directory"
        yield end + bytes(18), "0 entries"
        yield contents[:len(contents) // 2], "no ZIP directory"
        yield contents[:-1], "no ZIP directory"
        yield contents + b"x", "no ZIP directory"
        yield b"x" + contents, "not where the file says"
        yield damaged(central, 16, b"\0\0\0\0"), "checksum of entry 'net/data.pkl'"
        yield damaged(central, 16, b"\0\0\0\0", 3), "checksum of entry"
        yield damaged(b"net/data/5", 20, b"\x7f", 0), "checksum of entry 'net/data/5'"
        yield damaged(central, 10, b"\x08\0", 1), "compressed"
        yield damaged(central, 10, b"\x63\0", 1), "compressed"
        yield damaged(central, 8, b"\1\0", 1), "encrypted"
        yield damaged(central, 42, bytes(4), 1), "overlaps"
        yield damaged(central, 42, b"\xf0\xff\xff\xff", 1), "overlaps another one or lies outside"
        yield damaged(central, 20, b"\xf0\xff\xff\xff" * 2, 1), "overlaps another one or lies outside"
        yield damaged(central, 20, b"\xff\xff\xff\xff" * 2, 1), "overlaps another one or lies outside"
        yield damaged(central, 20, b"\1\0\0\0", 1), "two different sizes"
        yield damaged(central, 28, b"\xff\xff", 1), "cut off"
        yield damaged(central, 30, b"\xff\xff", 1), "cut off"
        yield damaged(central, 32, b"\xff\xff", 1), "cut off"
        yield damaged(central, 0, b"PK\1\3", 1), "cut off or overwritten"
        yield damaged(central, 46, b"../x/", 1), "name that PyTorch would not write"
        yield damaged(central, 46, b"/", 1), "name that PyTorch would not write"
        yield damaged(central, 47, b"\0", 1), "name that PyTorch would not write"
        yield damaged(central, 46, b"\xc3\xa9", 1), "name that PyTorch would not write"
        yield damaged(local, 30, b"x", 1), "another name"
        yield damaged(local, 28, b"\xff\xff", -1 % 25), "overlaps another one or lies outside"
        yield damaged(local, 0, b"PK\3\5", 1), "not where the directory says"
        yield damaged(local, 8, b"\x08\0", 1), "not where the directory says"
        yield damaged(end, 8, b"\xff\xfe\xff\xfe"), "65279 entries"
        yield damaged(end, 8, b"\1\0\1\0"), "belong to no entry"
        yield damaged(end, 8, b"\1\0"), "one part of a ZIP archive"
        yield damaged(end, 4, b"\1\0"), "one part of a ZIP archive"
        yield damaged(end, 12, b"\xff\xff\xff\xfe"), "not where the file says"
        yield damaged(end, 16, b"\xff\xff\xff\xfe"), "not where the file says"
        yield damaged(end, 20, b"\xff\xff"), "no ZIP directory"
        yield damaged(b"net/version", 11, b"99", 0), "checksum"
        yield torch_file.archive([("data/0", b"1")]), "no data.pkl"
        yield torch_file.archive([("data.pkl", b"\x80\x02}."), ("byteorder", b"big")]), "big-endian"
        yield torch_file.archive([("data.pkl", b"\x80\x02}.")], version=b"99\n"), "another version"
        yield torch_file.archive([("data.pkl", b"\x80\x02}.")], version=b"3" * 1000000), "1000000 bytes"
        yield torch_file.archive([("data.pkl", b"\x80\x02}."), ("constants.pkl", b"")]), "TorchScript"
        yield torch_file.archive([(f"data/{k}", b"") for k in range(65000)]), "no data.pkl"
        yield bomb(), "compressed"

    def zip64s(self):
        """Ends of ZIP64 that lie: huge, negative, elsewhere."""
        most = 2 ** 64 - 1
        yield zip64(count=most), "entries"
        yield zip64(count=2 ** 40), "entries"
        yield zip64(size=most), "not where the file says"
        yield zip64(size=2 ** 63), "not where the file says"
        yield zip64(start=most), "not where the file says"
        yield zip64(start=0), "not where the file says"
        yield zip64(at=most), "lies outside the file"
        yield zip64(at=0), "not where the file says"
        yield zip64(at=2 ** 40), "lies outside the file"
        yield zip64(count_here=1), "one part of a ZIP archive"
        yield zip64(disks=2), "one part of a ZIP archive"

    def test_archives(self):
        self.all_refused(self.archives(), 40)

    def test_zip64(self):
        self.all_refused(self.zip64s(), 10)

    def test_places(self):
        """What is no file, or cannot be read."""
        out = self.folder / "out.h5"
        (self.folder / "folder.pth").mkdir()
        os.mkfifo(self.folder / "pipe.pth")
        os.symlink("/dev/zero", self.folder / "zero.pth")
        os.symlink("loop.pth", self.folder / "loop.pth")
        for place, expected in (("folder.pth", "not a file"), ("pipe.pth", "not a file"), ("zero.pth", "not a file"),
                                ("loop.pth", "cannot open")):
            with self.subTest(place):
                self.assert_mistake(["convert", self.folder / place, out], expected)


if __name__ == "__main__":
    unittest.main()
