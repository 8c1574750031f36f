//! Times the core's steps natively, and counts what they allocate.

use divan::{AllocProfiler, Bencher};
use micro::{Fixture, Step};

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

#[divan::bench(args = Step::ALL)]
fn step(bencher: Bencher<'_, '_>, step: Step) {
    let mut fixture = Fixture::new();
    bencher.bench_local(|| assert!(fixture.take(step), "{step:?} went wrong"));
}
