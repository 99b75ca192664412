//! The memory on the disk says what one without a disk would say.

use std::collections::HashMap;

use fence_kdump_core::{Crash, CrashId, Disbelief, Instant};
use proptest::prelude::*;

use super::super::{Hearing, Memory};
use super::KEY;

#[derive(Debug, Clone)]
enum Step {
    Hear(Vec<Hearing>),
    Restart,
}

fn hearing() -> impl Strategy<Value = Hearing> {
    let sequence = prop_oneof![0_u64..6, any::<u64>()];
    let millisecond = 1_000_u64..9_000;
    (0_u8..2, 0_u8..3, sequence, 0_u64..6_000, millisecond, any::<bool>()).prop_map(
        |(node, crash, sequence, uptime, at, live)| Hearing {
            node_name: format!("n{node}"),
            key_id: KEY,
            crash_id: CrashId([crash; 16]),
            sequence,
            uptime,
            at: Instant::from_nanos(at * 1_000_000),
            live,
        },
    )
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => prop::collection::vec(hearing(), 1..4).prop_map(Step::Hear),
        1 => Just(Step::Restart),
    ];
    prop::collection::vec(step, 1..25)
}

fn expected(
    model: &mut HashMap<(String, CrashId), Crash>,
    hearing: &Hearing,
) -> Result<(), Disbelief> {
    let crash = (hearing.node_name.clone(), hearing.crash_id);
    let stamp = (hearing.sequence, hearing.uptime);
    let judged = Crash::judge_stamp(model.get(&crash), hearing.at, stamp, hearing.live)?;
    model.insert(crash, judged);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn restarts_and_batches_change_nothing(steps in steps()) {
        let dir = tempfile::tempdir().unwrap();
        let mut memory = Memory::open(dir.path()).unwrap();
        let mut model = HashMap::new();
        for step in steps {
            match step {
                Step::Restart => {
                    drop(memory);
                    memory = Memory::open(dir.path()).unwrap();
                }
                Step::Hear(hearings) => {
                    let judged = memory.judge_all(&hearings).unwrap();
                    prop_assert_eq!(judged.len(), hearings.len());
                    for (hearing, judged) in hearings.iter().zip(judged) {
                        let judged = judged.unwrap().map(drop);
                        prop_assert_eq!(judged, expected(&mut model, hearing));
                    }
                }
            }
        }
    }
}
