//! Every fault at every effect, every pair of them, a drop at every wait.

use distribution_testkit::{Scenario, request};

use crate::VIDEO;

fn scenario() -> Scenario {
    Scenario::publish(|world| world.stage("clip.mp4", VIDEO), request("clip.mp4", VIDEO))
}

#[test]
fn proof_every_fault_at_every_effect() {
    let survived = scenario().every_fault().unwrap();
    println!("proof: {} runs, every fault at each of {} effects", survived.runs, survived.effects);
    assert!(survived.runs > 100, "{survived:?}");
}

#[test]
fn proof_every_pair_of_faults() {
    let survived = scenario().every_pair_of_faults().unwrap();
    println!("proof: {} runs, every pair of faults from {} effects on", survived.runs, survived.effects);
    assert!(survived.runs > 5_000, "{survived:?}");
}

#[test]
fn proof_a_drop_at_every_wait() {
    let survived = scenario().every_drop().unwrap();
    println!("proof: {} runs, the call dropped at every wait", survived.runs);
    assert!(survived.runs > 15, "{survived:?}");
}
