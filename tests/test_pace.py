"""Limits and cool-downs: never exceeded in any window, whoever dies, restarts, or turns the clock back."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from respool.clock import MICROSECONDS, FakeClock
from respool.errors import UsageError
from respool.pace import Limit, Pace, Rate, Token, check_limits

API = Limit("api", "3/min")
NEVER = 1 << 62


def most_arrivals(spans: list[tuple[int, int]], period: int) -> int:
    """The most arrivals that a half-open window [t, t + period) can see if each may come anywhere in its span."""
    return max((sum(s < t + period and e >= t for s, e in spans) for _, t in spans), default=0)


class TestWriting:
    @pytest.mark.parametrize(
        ("text", "canonical"),
        [
            ("30/min", "30/min"), (" 1000/day,30 / MIN ", "30/min, 1000/day"), ("10/5s", "10/5s"), ("2/60s", "2/min"),
            ("7/2h", "7/2hour"), ("1/d", "1/day"), ("3/sec", "3/s"), ("3/seconds", "3/s"), ("3/0.5min", "3/30s"),
            ("4/0.25s", "4/0.25s"), ("9/90 minutes", "9/90min"), ("5/h, 5/hour", "5/hour"), ("unlimited", "unlimited"),
        ],
    )  # fmt: skip
    def test_a_limit_is_read_back_from_its_text(self, text: str, canonical: str) -> None:
        limit = Limit.parse(text, key="api")
        assert str(limit) == canonical
        assert Limit.parse(str(limit), key="api") == limit

    @given(st.integers(1, 10**9), st.integers(1, 366 * 86400 * 10**6))
    def test_every_rate_is_read_back(self, count: int, period: int) -> None:
        assert Rate.parse(str(Rate(count, period))) == Rate(count, period)

    def test_all_ways_to_write_one_are_equal(self) -> None:
        rates = (Rate(30, 60 * MICROSECONDS), Rate(1000, 86400 * MICROSECONDS))
        written = Limit("openai", "30/min", "1000/day")
        assert written == Limit("openai", rates) == Limit("openai", "30/min, 1000/day") == Limit("openai", *rates)
        assert written.rates == rates
        assert hash(written) == hash(Limit.parse("1000/day, 30/min", key="openai"))

    @pytest.mark.parametrize("text", ["", "30", "30/", "/min", "30/m", "3/minx", "-3/s", "0/s", "3/0s", "٣/s", 30])
    def test_a_bad_rate_is_named_with_an_example(self, text: str) -> None:
        with pytest.raises(UsageError) as caught:
            Limit("api", text)
        assert repr(text).strip("',") in str(caught.value)
        assert '"30/min"' in str(caught.value)

    @pytest.mark.parametrize("key", ["", "x" * 201, "a\nb", "\x00", "\ud800", 7])
    def test_a_bad_key_is_refused(self, key: str) -> None:
        with pytest.raises(UsageError, match="cannot be the key"):
            Limit(key, "30/min")

    def test_two_rates_for_one_key_or_one_period_are_refused(self) -> None:
        check_limits([API, Limit("api", "3/60s"), Limit("other", "9/s")])
        with pytest.raises(UsageError, match="'api' has two limits: '3/min' and '4/min'"):
            check_limits([API, Limit("api", "4/min")])
        with pytest.raises(UsageError, match="contradicts itself"):
            Limit("api", "3/min", "4/min")


class TestSlots:
    def test_a_slot_frees_one_period_after_its_request_ended(self, tmp_path: Path) -> None:
        clock = FakeClock()
        with Pace(tmp_path, clock) as pace:
            grant = pace.take([API], 10)
            assert (grant.count, len(set(grant.tokens)), grant.closed_key) == (3, 3, None)
            clock.advance(600)
            assert pace.take([API], 1).count == 0  # still in flight, however long ago they started
            pace.ended(grant.tokens)
            assert pace.take([API], 1).wait == 60.0
            clock.advance(59.999999)
            assert pace.take([API], 1).count == 0
            clock.advance(0.000001)
            assert pace.take([API], 10).count == 3

    def test_unused_slots_are_free_at_once_and_tokens_count_once(self, tmp_path: Path) -> None:
        with Pace(tmp_path, FakeClock()) as pace, Pace(tmp_path, FakeClock()) as other:
            first, second, third = pace.take([API], 3).tokens
            other.unused([first])  # not its own
            pace.unused([first])
            pace.unused([first, first])
            pace.ended([first, second, second])
            pace.unused([second])
            assert other.take([API], 9).count == 1
            pace.unused([third])
            assert other.take([API], 9).count == 1

    def test_several_rates_hold_at_once(self, tmp_path: Path) -> None:
        clock, limit = FakeClock(), Limit("api", "2/s", "5/min")
        with Pace(tmp_path, clock) as pace:
            counts = []
            for _ in range(4):
                grant = pace.take([limit], 9)
                pace.ended(grant.tokens)
                counts.append(grant.count)
                clock.advance(1)
            assert counts == [2, 2, 1, 0]
            assert pace.take([limit], 1).wait == 56.0
            clock.advance(56)
            assert pace.take([limit], 9).count == 2

    def test_several_keys_are_taken_together_or_not_at_all(self, tmp_path: Path) -> None:
        clock, host, account = FakeClock(), Limit("host", "4/s"), Limit("account", "2/s")
        with Pace(tmp_path, clock) as pace:
            assert pace.take([host, account], 9).count == 2
            assert pace.take([account, host], 9).count == 0
            assert pace.take([host], 9).count == 2  # the two that `account` refused were not used up

    def test_without_a_rate_everything_is_granted_until_the_key_is_closed(self, tmp_path: Path) -> None:
        with Pace(tmp_path, FakeClock()) as pace:
            assert pace.take([], 500).count == len(pace.take([Limit("api")], 500).tokens) == 500
            pace.close_key("api", 5, "429")
            assert pace.take([Limit("api")], 500).wait == 5.0
            assert pace.take([API, Limit("other")], 0).wait == 0.0

    def test_a_limit_that_was_lowered_waits_until_enough_have_gone(self, tmp_path: Path) -> None:
        clock = FakeClock()
        with Pace(tmp_path, clock) as pace:
            for _ in range(5):
                pace.ended(pace.take([Limit("api", "5/min")], 1).tokens)
                clock.advance(1)
            assert pace.take([API], 1).wait == 57.0
            clock.advance(57)
            assert pace.take([API], 9).count == 1

    def test_a_bigger_window_asked_for_later_is_kept_when_a_smaller_one_is_asked_too(self, tmp_path: Path) -> None:
        clock = FakeClock()
        with Pace(tmp_path, clock) as pace:
            pace.ended(pace.take([Limit("api", "2/hour")], 2).tokens)
            clock.advance(600)
            pace.ended(pace.take([Limit("api", "9/s")], 1).tokens)
            assert pace.take([Limit("api", "3/hour")], 1).count == 0
            clock.advance(3000)
            assert pace.take([Limit("api", "3/hour")], 9).count == 2


class TestNeverExceeded:
    LIMITS = (Limit("a", "3/10s", "5/30s"), Limit("b", "2/7s"))
    STEPS = st.lists(
        st.one_of(
            st.tuples(st.just("take"), st.integers(0, 1), st.sampled_from([(0,), (1,), (0, 1)]), st.integers(1, 6)),
            st.tuples(st.sampled_from(["end", "unused"]), st.integers(0, 1), st.randoms(use_true_random=False)),
            st.tuples(st.just("advance"), st.one_of(st.sampled_from([7, 10, 30]), st.floats(0, 12))),
            st.tuples(st.sampled_from(["close", "kill"]), st.integers(0, 1)),
            st.tuples(st.just("set back"), st.floats(0, 40)),
        ),
        max_size=40,
    )

    @settings(deadline=None, max_examples=150)
    @given(STEPS)
    def test_in_no_window_whatever_happens(self, steps: list[tuple]) -> None:
        clock = FakeClock()
        spans: dict[Token, tuple[tuple[int, ...], int, int]] = {}  # which limits, start, end in true time
        exact = True  # while nobody died and the clock ran true, not a single slot may be withheld either

        def now() -> int:
            return round(clock.monotonic() * MICROSECONDS)

        def finish_all(tokens: list[Token]) -> None:
            spans.update({token: (*spans[token][:2], now()) for token in tokens})

        def free(which: int, rate: Rate) -> int:
            return rate.count - sum(which in ks and e + rate.period > now() for ks, _, e in spans.values())

        with tempfile.TemporaryDirectory() as folder:
            paces = [Pace(Path(folder), clock), Pace(Path(folder), clock)]
            held: list[list[Token]] = [[], []]
            for what, *details in steps:
                if what == "take":
                    who, which, want = details
                    expected = min([want, *(max(0, free(w, r)) for w in which for r in self.LIMITS[w].rates)])
                    grant = paces[who].take([self.LIMITS[w] for w in which], want)
                    assert (grant.wait == 0.0) == (grant.count == want)
                    assert grant.count == expected if exact else grant.count <= want
                    spans.update(dict.fromkeys(grant.tokens, (which, now(), NEVER)))
                    held[who] += grant.tokens
                elif what in ("end", "unused"):
                    who, chance = details
                    some = [token for token in held[who] if chance.random() < 0.5]
                    held[who] = [token for token in held[who] if token not in some]
                    if what == "end":
                        paces[who].ended(some)
                        finish_all(some)
                    else:
                        paces[who].unused(some)
                        for token in some:
                            del spans[token]
                elif what == "advance":
                    clock.advance(round(details[0], 6))
                elif what == "set back":
                    clock.set_back(details[0])
                    exact = False
                else:
                    who = details[0]
                    if what == "close":
                        paces[who].close()
                    exact = exact and (what == "close" or not held[who])
                    paces[who] = Pace(Path(folder), clock)  # the dropped one's lock is free, as after a kill
                    finish_all(held[who])
                    held[who] = []
            for which, limit in enumerate(self.LIMITS):
                mine = [(s, e) for ks, s, e in spans.values() if which in ks]
                for rate in limit.rates:
                    assert most_arrivals(mine, rate.period) <= rate.count
            for pace in paces:
                pace.close()
            last = Pace(Path(folder), clock)
            for limit in self.LIMITS:
                last.closed(limit.key)  # looks at the file, and so notices who died
            clock.advance(30)
            assert last.take(self.LIMITS, 9).count == 2  # nothing is held for ever

    @settings(deadline=None, max_examples=50)
    @given(st.lists(st.tuples(st.integers(1, 5), st.floats(0, 20)), max_size=10))
    def test_waiting_as_told_is_enough(self, steps: list[tuple[int, float]]) -> None:
        clock = FakeClock()
        with tempfile.TemporaryDirectory() as folder, Pace(Path(folder), clock) as pace:
            for want, seconds in steps:
                pace.ended(pace.take([self.LIMITS[0]], want).tokens)
                clock.advance(seconds)
            pace.ended(pace.take([self.LIMITS[0]], 9).tokens)
            clock.advance(pace.take([self.LIMITS[0]], 1).wait)
            assert pace.take([self.LIMITS[0]], 1).count == 1


class TestCoolDowns:
    def test_the_longer_of_two_holds_with_its_reason(self, tmp_path: Path) -> None:
        pace = Pace(tmp_path, FakeClock())
        pace.close_key("api", 60, "long")
        pace.close_key("api", 5, "short")
        pace.close_key("api", -1, "past")
        assert pace.closed("api") == (60.0, "long")
        pace.close_key("api", 61, "longer")
        assert pace.closed("api") == (61.0, "longer")
        with pytest.raises(UsageError):
            pace.close_key("api", float("nan"), "?")

    def test_asking_makes_no_files(self, tmp_path: Path) -> None:
        assert Pace(tmp_path / "pace", FakeClock()).closed("api") is None
        assert not (tmp_path / "pace").exists()


class TestClockSetBack:
    def test_a_stamp_from_the_future_counts_as_now_and_only_once(self, tmp_path: Path) -> None:
        clock = FakeClock()
        with Pace(tmp_path, clock) as pace:
            pace.ended(pace.take([API], 3).tokens)
            clock.set_back(86400)
            assert pace.take([API], 1).wait == 60.0
            clock.advance(60)
            assert pace.take([API], 3).count == 3

    def test_a_cool_down_is_not_longer_than_was_asked(self, tmp_path: Path) -> None:
        clock = FakeClock()
        pace = Pace(tmp_path, clock)
        pace.close_key("api", 30, "429")
        clock.set_back(86400)
        assert pace.closed("api") == (30.0, "429")
        clock.advance(30)
        assert pace.closed("api") is None
