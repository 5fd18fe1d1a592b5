from fake_nsm import seeded_entropy


def test_equal_seeds_give_equal_bytes_for_equal_calls():
    first, second = seeded_entropy(b"seed"), seeded_entropy(b"seed")
    assert [first(n) for n in (1, 32, 256)] == [second(n) for n in (1, 32, 256)]


def test_calls_do_not_repeat_and_have_the_wanted_length():
    entropy = seeded_entropy(b"seed")
    drawn = [entropy(48) for _ in range(100)]
    assert {48} == {len(each) for each in drawn}
    assert len(set(drawn)) == 100
    assert entropy(0) == b""


def test_other_seeds_give_other_bytes():
    assert seeded_entropy(b"a")(32) != seeded_entropy(b"b")(32)
