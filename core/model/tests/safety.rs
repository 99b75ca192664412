//! All checks of the safety claim; `--nocapture` shows the number of states and how what is documented
//! comes about. `FENCE_KDUMP_MODEL=large` goes further, which takes long.

use fence_kdump_core::Policy;
use fence_kdump_model::{Bounds, Found, Lie, check};

/// Whether there is time.
fn is_large() -> bool {
    std::env::var_os("FENCE_KDUMP_MODEL").is_some_and(|size| size == "large")
}

/// So much, or more when there is time.
fn up_to<T>(usual: T, large: T) -> T {
    if is_large() { large } else { usual }
}

/// Prints how an example comes about.
fn tell(found: &Found, lie: Lie) -> &str {
    let way = found.way(lie.name()).expect("the check has looked for it");
    println!("  documented, {}:\n{way}", lie.name());
    way
}

/// A network that loses, duplicates, reorders, and delays by up to 4 s: a node that takes longer than those
/// and 10 s to reboot is never said to be fenced while it runs.
#[test]
fn plain_holds_on_an_honest_network() {
    check(Bounds {
        delay: Some(2),
        reboot: 8,
        horizon: up_to(18, 26),
        crashes: up_to(2, 3),
        restarts: 1,
        ..Bounds::calm("plain, honest network", Policy::Plain)
    });
}

/// What PROTOCOL.md §14.4 says, and no more.
#[test]
fn plain_falls_to_forgery_and_replay() {
    let found = check(Bounds {
        delay: None,
        forges: true,
        horizon: up_to(16, 22),
        expects: &[Lie::Forged, Lie::Replayed],
        ..Bounds::calm("plain, attacker", Policy::Plain)
    });
    assert!(tell(&found, Lie::Forged).contains("from n0's address, forged"));
    assert!(tell(&found, Lie::Replayed).contains("12 s after it was said"));
}

/// §12.1: no less than 10 s.
#[test]
fn plain_needs_ten_seconds_to_reboot() {
    let found = check(Bounds {
        reboot: 5,
        expects: &[Lie::Reboot],
        ..Bounds::calm("plain, a reboot of 10 s", Policy::Plain)
    });
    let _ = tell(&found, Lie::Reboot);
}

/// Everything that was said is recorded and can be sent at any time, in any order.
fn signed(name: &'static str) -> Bounds {
    Bounds {
        delay: None,
        forges: true,
        reboot: 7,
        horizon: up_to(12, 14),
        expects: &[Lie::Gap],
        ..Bounds::calm(name, Policy::Signed)
    }
}

#[test]
fn signed_has_one_gap() {
    let found = check(Bounds { leaves: true, ..signed("signed, attacker") });
    let way = tell(&found, Lie::Gap);
    assert_eq!(way.matches("arrives").count(), 1, "of this crash, nothing was heard in time");
}

/// A memory that survives makes restarts harmless, and one that does not is the same gap.
#[test]
fn signed_survives_restarts() {
    let bounds = signed("signed, restarts of the program, its memory and its host");
    let crashes = up_to(1, 2);
    check(Bounds { crashes, restarts: 1, boots: 1, losses_of_memory: 1, ..bounds });
}

/// §10: what a receiver has heard and not written down, it forgets with its restart, and nothing of it counts
/// again.
#[test]
fn signed_survives_restarts_of_a_receiver_that_lags() {
    let bounds = Bounds { lags: true, crashes: 1, ..signed("signed, a receiver that lags") };
    check(Bounds { restarts: up_to(1, 2), ..bounds.clone() });
    let name = "signed, a receiver that lags, boots of its host";
    check(Bounds { name, boots: 1, ..bounds.clone() });
    // What is written is as old as it may be, and older.
    let name = "signed, a receiver that lags by a minute";
    let (tick, interval, reboot, horizon) = (10_000, 30_000, 2, up_to(9, 12));
    let bounds = Bounds { tick, interval, reboot, horizon, bursts: false, ..bounds };
    check(Bounds { name, restarts: 1, ..bounds });
}

/// §14.1: 10 s, and 2 s for which a message may be under way.
#[test]
fn signed_needs_twelve_seconds_to_reboot() {
    let found = check(Bounds {
        reboot: 6,
        expects: &[Lie::Gap, Lie::Reboot],
        crashes: 1,
        ..signed("signed, a reboot of 12 s")
    });
    let _ = tell(&found, Lie::Reboot);
}

/// §14.1: a wall clock may show what it likes (it always does here), the monotonic one may not.
#[test]
fn signed_needs_a_monotonic_clock() {
    for rate in [999_100, 1_000_900] {
        check(Bounds { rate, crashes: 1, ..signed("signed, a clock within a 1024th") });
    }
    let found = check(Bounds {
        rate: 2_000_000,
        crashes: 1,
        horizon: 15,
        expects: &[Lie::Gap, Lie::Clock],
        ..signed("signed, a clock at twice the speed")
    });
    let _ = tell(&found, Lie::Clock);
}

fn live(name: &'static str) -> Bounds {
    Bounds {
        delay: None,
        forges: true,
        tick: 1_000,
        reboot: 4,
        interval: 4_000,
        bursts: false,
        horizon: up_to(9, 10),
        answers: 1,
        ..Bounds::calm(name, Policy::Live)
    }
}

#[test]
fn live_holds_without_exception() {
    check(live("live, attacker"));
}

#[test]
fn live_survives_restarts_and_wrong_clocks() {
    for rate in [500_000, 2_000_000] {
        let bounds =
            Bounds { rate, crashes: 1, horizon: up_to(6, 7), ..live("live, wrong clocks") };
        check(Bounds { name: "live, wrong clock, a restart", restarts: 1, ..bounds.clone() });
        check(Bounds { name: "live, wrong clock, a boot", boots: 1, ..bounds });
    }
}

#[test]
fn live_needs_no_memory() {
    check(Bounds { writable: false, crashes: 1, ..live("live, a disk that cannot be written") });
}

/// §14.1: an answer may take 2 s, and counts for 2 s.
#[test]
fn live_needs_four_seconds_to_reboot() {
    let found =
        check(Bounds { reboot: 3, expects: &[Lie::Reboot], ..live("live, a reboot of 3 s") });
    let _ = tell(&found, Lie::Reboot);
}

/// Nobody speaks for another node, and no node's messages change what is known of another one.
#[test]
fn nodes_do_not_mix() {
    for policy in [Policy::Plain, Policy::Signed] {
        check(Bounds {
            nodes: 2,
            tick: 5_000,
            reboot: 4,
            bursts: false,
            horizon: up_to(5, 7),
            delay: if policy == Policy::Plain { Some(1) } else { None },
            forges: policy == Policy::Signed,
            expects: if policy == Policy::Plain { &[] } else { &[Lie::Gap] },
            ..Bounds::calm("two nodes", policy)
        });
    }
}

/// A node that stays in its crash kernel is known to be there as soon as a message gets through.
#[test]
fn a_node_is_known_in_the_end() {
    for policy in [Policy::Plain, Policy::Signed, Policy::Live] {
        check(Bounds {
            fair: Some(up_to(3, 4)),
            tick: 1_000,
            // It speaks at 0, 2, 10, 20, 30 and 40 s: once more than all that can go wrong.
            horizon: up_to(36, 46),
            reboot: 99,
            answers: if policy == Policy::Live { 16 } else { 0 },
            network: &[0, 1, 3],
            restarts: 1,
            crashes: 1,
            ..Bounds::calm("a fair network", policy)
        });
    }
}
