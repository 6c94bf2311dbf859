"""Cases that are told to hold every pair do."""

from itertools import combinations, product

from pairwise import every_pair


def test_every_two_values_meet_in_some_case_and_there_are_few_cases():
    parameters = [dict.fromkeys(map(str, range(number))) for number in (7, 4, 3, 2)]
    cases = [case.id.split("-") for case in every_pair(*parameters)]
    for one, other in combinations(range(4), 2):
        found = {(case[one], case[other]) for case in cases}
        assert found == set(product(parameters[one], parameters[other]))
    assert 7 * 4 <= len(cases) <= 7 * 4 + 4


def test_a_case_has_the_values_in_the_order_of_the_parameters():
    (case,) = every_pair({"a": 1}, {"b": [2]}, {"c": None})
    assert (case.id, case.values) == ("a-b-c", (1, [2], None))
