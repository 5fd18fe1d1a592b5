"""Layers on top of one another give the tree that an engine would show."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nitrosim.eif.cpio import Kind, read_content
from nitrosim.images.blobs import Blob
from nitrosim.images.errors import ImageError
from nitrosim.images.layer import apply_layer
from nitrosim.images.tree import Tree


def merged(*layers):
    tree = Tree()
    for number, layer in enumerate(layers):
        apply_layer(tree, Blob(io.BytesIO(layer), 0, len(layer), f"layer {number}"), number)
    return tree


@pytest.fixture(scope="session")
def merge(make_layer):
    """Return a function that merges layers of entries to a tree."""
    return lambda *layers: merged(*(make_layer(*entries) for entries in layers))


@pytest.fixture
def refusal(merge):
    def refused(*layers):
        with pytest.raises(ImageError) as caught:
            merge(*layers)
        return caught.value.code

    return refused


def test_entries_come_in_the_order_of_a_walk(merge):
    tree = merge(
        [("b",), ("b/z", b""), ("b.c", b""), ("b-", b""), ("a/y/x", b""), ("B", b""), ("b/é", b"")]
    )

    assert [b"B", b"a/", b"a/y/", b"a/y/x", b"b/", b"b/z", "b/é".encode(), b"b-", b"b.c"] == [
        entry.name for entry in tree.entries()
    ]


def test_attributes_are_those_of_the_archive(merge):
    fields = {"uid": 1 << 31, "gid": 7, "mtime": 12.9, "mode": 0o4711}
    (entry,) = merge([("f", b"x", fields)]).entries()

    assert (1 << 31, 7, 12, 0o4711) == (entry.uid, entry.gid, entry.mtime, entry.mode)


@pytest.mark.parametrize("name", ["/a", "./a", "a", "//a", "b/../a", "./b/.././a"])
def test_names_are_relative_to_the_root_however_they_are_written(name, merge, contents):
    assert {"a": b"x"} == contents(merge([(name, b"x")]))


def test_a_directory_that_is_only_implied_exists(merge):
    entries = list(merge([("a/b/c", b"")]).entries())

    assert [b"a/", b"a/b/", b"a/b/c"] == [entry.name for entry in entries]
    assert [(0o755, 0, 0)] * 2 == [(e.mode, e.uid, e.mtime) for e in entries[:2]]


def test_a_directory_that_is_implied_above_another_keeps_its_attributes(merge):
    tree = merge([("a", {"mode": 0o700, "uid": 5})], [("a/f", b"")])
    entry = next(tree.entries())

    assert (0o700, 5) == (entry.mode, entry.uid)


def test_a_directory_above_another_changes_only_its_attributes(merge, contents):
    tree = merge([("a",), ("a/f", b"1")], [("a", {"mode": 0o1777, "mtime": 9})])

    assert {"a/": Kind.DIRECTORY, "a/f": b"1"} == contents(tree)
    entry = next(tree.entries())
    assert (0o1777, 9) == (entry.mode, entry.mtime)


def test_the_upper_of_two_files_counts(merge, contents):
    assert {"f": b"2"} == contents(merge([("f", b"1")], [("f", b"2")]))
    assert {"f": b"2"} == contents(merge([("f", b"1"), ("f", b"2")]))


def test_a_file_takes_the_place_of_a_directory_and_back(merge, contents):
    folder = [("x",), ("x/a", b""), ("x/b/c", b"")]

    assert {"x": b"file"} == contents(merge(folder, [("x", b"file")]))
    assert {"x": (Kind.SYMLINK, b"y")} == contents(merge(folder, [("x", "symlink", "y")]))
    assert {"x/": Kind.DIRECTORY, "x/n": b""} == contents(
        merge(folder, [("x", b"file")], [("x",), ("x/n", b"")])
    )


def test_a_whiteout_removes_from_lower_layers(merge, contents):
    lower = [("d",), ("d/a", b"1"), ("d/b", b"1"), ("d/c/e", b"1")]

    assert {"d/": Kind.DIRECTORY, "d/b": b"1"} == contents(
        merge(lower, [("d/.wh.a", b""), ("d/.wh.c", b"")])
    )
    assert {} == contents(merge(lower, [(".wh.d", b"")]))
    assert {"d/": Kind.DIRECTORY, "d/x": b"2"} == contents(
        merge(lower, [(".wh.d", b""), ("d/x", b"2")])
    )


def test_a_whiteout_does_not_remove_from_its_own_layer(merge, contents):
    lower = [("d/a", b"1")]
    first, last = [("d/.wh.a", b""), ("d/a", b"2")], [("d/a", b"2"), ("d/.wh.a", b"")]

    assert contents(merge(lower, first)) == contents(merge(lower, last))
    assert {"d/": Kind.DIRECTORY, "d/a": b"2"} == contents(merge(lower, last))


@pytest.mark.parametrize("position", [0, 1, 2])
def test_an_opaque_directory_hides_what_is_below_it(position, merge, contents):
    lower = [("d",), ("d/a", b"1"), ("d/sub/b", b"1"), ("e", b"1")]
    upper = [("d", {"mode": 0o700}), ("d/new", b"2")]
    upper.insert(position, ("d/.wh..wh..opq", b""))

    assert {"d/": Kind.DIRECTORY, "d/new": b"2", "e": b"1"} == contents(merge(lower, upper))


def test_a_whiteout_of_nothing_implies_only_its_directory(merge, contents):
    whiteouts = [(".wh.a", b""), ("d/.wh.b", b""), ("e/f/.wh.g", b""), ("h/.wh..wh..opq", b"")]

    assert {
        "d/": Kind.DIRECTORY,
        "e/": Kind.DIRECTORY,
        "e/f/": Kind.DIRECTORY,
        "h/": Kind.DIRECTORY,
    } == contents(merge([("e", b"1")], whiteouts))


def test_the_leftovers_of_aufs_mean_nothing(merge, contents):
    names = [".wh..wh.aufs", ".wh..wh.orph", ".wh..wh.plnk"]

    assert {"plnk": b"1"} == contents(merge([("plnk", b"1")], [(name, b"") for name in names]))


@pytest.mark.parametrize("name", [".wh.", ".wh..", ".wh...", "a/b/.wh..."])
def test_a_whiteout_of_a_directory_itself_is_refused(name, refusal):
    assert "TREE_PATH" == refusal([("a/b/c", b"")], [(name, b"")])


def test_hard_links_are_one_file_with_several_names(merge, contents):
    tree = merge([("z", b"data"), ("a", "link", "z"), ("m", "link", "./a"), ("n", "link", "/z")])

    assert {
        "a": b"data",
        "m": (Kind.HARD_LINK, b"a"),
        "n": (Kind.HARD_LINK, b"a"),
        "z": (Kind.HARD_LINK, b"a"),
    } == contents(tree)


def test_a_hard_link_changes_the_attributes_of_its_file(merge):
    tree = merge([("f", b"x", {"mode": 0o600}), ("g", "link", "f", {"mode": 0o640, "uid": 3})])

    assert [(0o640, 3), (0o640, 3)] == [(entry.mode, entry.uid) for entry in tree.entries()]


def test_a_hard_link_to_a_lower_layer_changes_nothing(merge):
    tree = merge([("f", b"x", {"mode": 0o600})], [("g", "link", "f", {"mode": 0o640, "uid": 3})])

    assert [(0o600, 0), (0o600, 0)] == [(entry.mode, entry.uid) for entry in tree.entries()]


def test_a_hard_link_may_lead_to_a_lower_layer(merge, contents):
    tree = merge([("f", b"data")], [("g", "link", "f")])

    assert {"f": b"data", "g": (Kind.HARD_LINK, b"f")} == contents(tree)


def test_a_link_keeps_what_it_led_to_when_the_first_name_changes(merge, contents):
    lower = [("f", b"old"), ("g", "link", "f")]

    assert {"f": b"new", "g": b"old"} == contents(merge(lower, [("f", b"new")]))
    assert {"g": b"old"} == contents(merge(lower, [(".wh.f", b"")]))


def test_a_symbolic_link_can_have_two_names(merge, contents):
    tree = merge([("a", "symlink", "/nowhere"), ("b", "link", "a")])

    assert {"a": (Kind.SYMLINK, b"/nowhere"), "b": (Kind.HARD_LINK, b"a")} == contents(tree)


@pytest.mark.parametrize(
    "entries",
    [
        [("a", "link", "missing")],
        [("d",), ("a", "link", "d")],
        [("a", "link", "b"), ("b", b"")],
        [("l", "symlink", "d"), ("d/f", b""), ("a", "link", "l/f")],
    ],
)
def test_a_hard_link_to_what_is_no_earlier_file_is_refused(entries, refusal):
    assert "TREE_LINK" == refusal(entries)


def test_a_path_through_a_link_of_its_own_layer_is_followed_within_the_image(merge, contents):
    tree = merge(
        [
            ("usr/bin/a", b"1"),
            ("bin", "symlink", "usr/bin"),
            ("bin/b", b"2"),
            ("abs", "symlink", "/usr/bin"),
            ("abs/c", b"3"),
            ("up", "symlink", "../../../../usr/bin"),
            ("up/d", b"4"),
        ]
    )

    found = contents(tree)
    assert {f"usr/bin/{name}" for name in "abcd"} <= found.keys()
    assert (Kind.SYMLINK, b"usr/bin") == found["bin"]


def test_a_link_of_a_lower_layer_gives_way_to_a_directory(merge, contents):
    tree = merge([("usr/bin/a", b"1"), ("bin", "symlink", "usr/bin")], [("bin/b", b"2")])

    assert {
        "bin/": Kind.DIRECTORY,
        "bin/b": b"2",
        "usr/": Kind.DIRECTORY,
        "usr/bin/": Kind.DIRECTORY,
        "usr/bin/a": b"1",
    } == contents(tree)


@pytest.mark.parametrize("name", ["..", "../a", "a/../../b", "/..", "/../a", "a/b/../../../c"])
@pytest.mark.parametrize("kind", [[b"x"], [], ["symlink", "x"], ["link", "f"]])
def test_a_name_that_leads_out_of_the_image_is_refused(name, kind, refusal):
    assert "TREE_PATH" == refusal([("f", b""), (name, *kind)])


@pytest.mark.parametrize("target", ["../f", "/../f", "a/../../f"])
def test_a_hard_link_that_leads_out_of_the_image_is_refused(target, refusal):
    assert "TREE_PATH" == refusal([("f", b""), ("l", "link", target)])


def test_the_root_is_no_hard_link_but_can_have_attributes(merge, refusal):
    tree = merge([(".", {"mode": 0o711}), ("f", b"")])

    assert [b"f"] == [entry.name for entry in tree.entries()]
    assert 0o711 == tree.root.mode
    assert "TREE_PATH" == refusal([("f", b""), ("./.", "link", "f")])


def test_a_circle_of_links_is_refused(refusal):
    assert "TREE_LOOP" == refusal([("a", "symlink", "b"), ("b", "symlink", "a"), ("a/file", b"")])


def test_targets_that_lead_outside_are_only_text(merge, contents):
    tree = merge([("l", "symlink", "../../etc/passwd"), ("m", "symlink", "/etc/shadow")])

    assert {
        "l": (Kind.SYMLINK, b"../../etc/passwd"),
        "m": (Kind.SYMLINK, b"/etc/shadow"),
    } == contents(tree)


def test_symbolic_links_have_the_mode_that_linux_gives_them(merge):
    tree = merge([("l", "symlink", "x", {"mode": 0o600}), ("m", "link", "l")])

    assert [0o777, 0o777] == [entry.mode for entry in tree.entries()]


def test_times_before_1970_become_1970(merge):
    tree = merge([("f", b"", {"mtime": -5}), ("d", {"mtime": -0.5}), ("g", b"", {"mtime": 5})])

    assert [0, 0, 5] == [entry.mtime for entry in tree.entries()]


def test_devices_and_pipes_are_kept(merge):
    tree = merge([("dev/null", "char", {"devmajor": 1, "devminor": 3}), ("pipe", "fifo")])
    _, device, pipe = tree.entries()

    assert (Kind.CHARACTER_DEVICE, (1, 3)) == (device.kind, device.device)
    assert Kind.FIFO is pipe.kind


NAMES = st.lists(st.sampled_from("abc"), min_size=1, max_size=3).map("/".join)
CHANGES = st.lists(
    st.one_of(
        st.tuples(NAMES, st.binary(max_size=4)),
        st.tuples(NAMES),
        st.tuples(NAMES, st.just("symlink"), st.sampled_from(["x", "/y"])),
        NAMES.map(lambda n: (f"{n.rpartition('/')[0]}/.wh.{n.rpartition('/')[2]}", b"")),
        NAMES.map(lambda n: (f"{n}/.wh..wh..opq", b"")),
    ),
    max_size=6,
)


def without(model, name, *, itself):
    inside = f"{name}/"
    return {
        path: what
        for path, what in model.items()
        if not path.startswith(inside) and not (itself and path == name)
    }


def model_of(layers):
    """Return name -> content of a merge, done with flat dictionaries and the sentences of OCI."""
    model = {}
    for layer in layers:
        for name, *_ in layer:
            folder, _, base = name.rpartition("/")
            reachable = all(model.get(up) is None for up in parents(folder))
            if reachable and base == ".wh..wh..opq":
                model = without(model, folder, itself=False)
            elif reachable and base.startswith(".wh."):
                model = without(model, f"{folder}/{base[4:]}".lstrip("/"), itself=True)
        for name, *rest in layer:
            model |= dict.fromkeys(parents(name.rpartition("/")[0]))
            if ".wh." not in name:
                model = without(model, name, itself=True) if rest else model
                # The target of a link, the content of a file, None for a directory.
                model[name] = rest[-1] if rest else None
    return model


def parents(name):
    parts = name.split("/") if name else []
    return ["/".join(parts[: count + 1]) for count in range(len(parts))]


@given(st.lists(CHANGES, max_size=4))
def test_any_layers_give_what_a_flat_model_gives(merge, layers):
    # A link of the same layer is followed, which the model does not know: such names differ.
    links = {entry[0] for layer in layers for entry in layer if "symlink" in entry}
    layers = [
        [entry for entry in layer if not links & set(parents(entry[0].rpartition("/")[0]))]
        for layer in layers
    ]
    found = {}
    for entry in merge(*layers).entries():
        name = entry.name.decode().rstrip("/")
        if entry.kind is Kind.DIRECTORY:
            found[name] = None
        else:
            found[name] = read_content(entry) if entry.kind is Kind.FILE else entry.target.decode()

    assert model_of(layers) == found
