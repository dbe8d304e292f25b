//! The checks with a publisher: what the store promises is what publishing needs.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use async_trait::async_trait;
use distribution_core::{
    Advance, AuditLogId, Claim, ConceptId, Cursor, Error, ErrorKind, Found, IdempotencyKey, MetadataStore,
    PublishRequest, Query, Row,
};
use futures::future::BoxFuture;

use super::{MetadataHarness, RACERS};
use crate::conformance::{few_trials, race, run};
use crate::faults::{Effect, Fault, Op};
use crate::publisher::request;
use crate::scenario::Scenario;
use crate::time::let_others_go_first;
use crate::world::{State, World};

/// What the sweep has the harness do.
type Job = Box<dyn FnOnce(&dyn MetadataHarness) + Send>;

const VIDEO: &[u8] = b"approved bytes";
/// How often a racer that is told to come back does so.
const REPEATS_MAX: usize = 100_000;

/// Every fault at every effect on the store (a sample of them where there are few trials): of a publish under a name, of an amendment, of a link and of
/// a recovery. Storage, audit and the rest are in memory.
pub(super) fn publishing_survives_every_fault(harness: &dyn MetadataHarness) {
    let (store, stride) = (run(harness, harness.open()), stride(harness.trials()));
    let (ask, asked) = mpsc::channel::<Job>();
    let survived = thread::scope(|scope| {
        let sweeping = scope.spawn(move || {
            let runs = Arc::new(AtomicUsize::new(0));
            let under_faults =
                move |world: &World| UnderFaults { world: world.clone(), store: store.clone(), ask: ask.clone() };
            scenario(runs, under_faults).every_fault_that(sampled(stride))
        });
        // The harness stays on this thread: the sweep may not borrow it.
        while let Ok(job) = asked.recv() {
            job(harness);
        }
        sweeping.join()
    });
    let survived = survived.expect("the sweep ends").unwrap_or_else(|failure| panic!("{failure}"));
    assert!(survived.runs > 60 / stride, "{survived:?}: the sweep has become too small");
}

fn stride(trials: usize) -> usize {
    match trials {
        0..4 => 16,
        4..10 => 4,
        _ => 1,
    }
}

/// One of so many faults on the store.
fn sampled(stride: usize) -> impl Fn(&Effect, Fault) -> bool {
    use Op::{MetadataAdvance, MetadataBind, MetadataClaim, MetadataFind, MetadataLoad};
    let asked = AtomicUsize::new(0);
    move |effect, _| {
        matches!(effect.op, MetadataAdvance | MetadataBind | MetadataClaim | MetadataFind | MetadataLoad)
            && asked.fetch_add(1, Ordering::Relaxed).is_multiple_of(stride)
    }
}

fn scenario(runs: Arc<AtomicUsize>, under_faults: impl Fn(&World) -> UnderFaults + Send + Sync + 'static) -> Scenario {
    let (number, under_faults) = (runs.clone(), Arc::new(under_faults));
    Scenario::new(
        move |world| {
            // Every run has a publication of its own in the one store.
            runs.fetch_add(1, Ordering::Relaxed);
            world.stage("clip.mp4", VIDEO);
        },
        move |world, host| {
            let (number, under_faults) = (number.load(Ordering::Relaxed), under_faults.clone());
            async move {
                let builder = world.builder(&host).metadata(Arc::new(under_faults(&world)));
                let publisher = builder.build()?;
                publisher.publish(named(number)).await?;
                let mut amended = named(number);
                amended.distribution_settings.metadata.title = Some("Another title".to_owned());
                let record = publisher.publish(amended).await?;
                publisher.link(&record.audit_log_id, Duration::from_secs(60)).await?;
                let _ = publisher.recover().await?;
                Ok(vec![record])
            }
        },
    )
}

fn named(number: usize) -> PublishRequest {
    let mut request = request("clip.mp4", VIDEO);
    request.distribution_settings.metadata.concept_id =
        Some(ConceptId::parse(format!("run-{number}")).expect("a concept id"));
    request.idempotency_key = Some(IdempotencyKey::parse(format!("run-{number}")).expect("an idempotency key"));
    request
}

/// How long a caller waits whose store gave no good answer.
const PAUSE: Duration = Duration::from_millis(100);
/// How often a racer is patient with that.
const BAD_ANSWERS_MAX: u32 = 50;

/// Publishers on as many hosts, all with the same request.
pub(super) fn one_of_many_publishers_publishes(harness: &dyn MetadataHarness) {
    let stores = &run(harness, async { [harness.open().await, harness.open().await] });
    for (trial, course) in few_trials(harness) {
        let world = &World::new();
        world.stage("clip.mp4", VIDEO);
        let answers = race(harness, course, RACERS, |n| {
            let builder = world.builder(&format!("host-{n}")).metadata(stores[n % 2].clone());
            let publisher = builder.build().expect("a publisher");
            async move {
                let mut bad_answers = 0;
                for _ in 0..REPEATS_MAX {
                    match publisher.publish(named(trial)).await {
                        Err(error) if error.kind() == ErrorKind::Busy => let_others_go_first().await,
                        // A server under this load may give up on a request: the same call finishes the job.
                        Err(error) if error.kind() == ErrorKind::Unavailable && bad_answers < BAD_ANSWERS_MAX => {
                            bad_answers += 1;
                            thread::sleep(PAUSE);
                        }
                        outcome => return outcome.expect("a publish"),
                    }
                    thread::yield_now();
                }
                panic!("another was at work for ever");
            }
        });
        assert!(answers.iter().all(|answer| *answer == answers[0]), "the racers do not agree: {answers:?}");
        let stored = run(harness, stores[0].load(&answers[0].audit_log_id)).expect("a load").expect("a row");
        world.show(stored);
        answers.into_iter().for_each(|answer| world.answered(answer));
        world.keeps_promises().unwrap_or_else(|broken| panic!("{broken}"));
        assert_eq!(world.objects().len(), 1, "one object");
    }
}

/// The store under test as one of a world's: its effects are counted and can go wrong, and the world
/// knows its rows.
#[derive(Clone)]
struct UnderFaults {
    world: World,
    store: Arc<dyn MetadataStore>,
    ask: mpsc::Sender<Job>,
}

impl UnderFaults {
    /// Has the harness run a call of the store, and waits for its end.
    fn real<T: Send + 'static>(
        &self,
        call: impl FnOnce(Arc<dyn MetadataStore>) -> BoxFuture<'static, Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        let (store, (answer, answered)) = (self.store.clone(), mpsc::channel());
        let job = move |harness: &dyn MetadataHarness| drop(answer.send(run(harness, call(store))));
        self.ask.send(Box::new(job)).expect("the check goes on until the sweep has ended");
        answered.recv().expect("the harness runs a future to its end")
    }

    fn load_row(&self, id: &AuditLogId) -> Result<Option<Row>, Error> {
        let id = id.clone();
        self.real(move |store| Box::pin(async move { store.load(&id).await }))
    }

    fn claim_row(&self, first: &Row) -> Result<Claim, Error> {
        let first = first.clone();
        self.real(move |store| Box::pin(async move { store.claim(&first).await }))
    }

    fn advance_row(&self, next: &Row) -> Result<Advance, Error> {
        let next = next.clone();
        self.real(move |store| Box::pin(async move { store.advance(&next).await }))
    }

    /// Tells the world what is on record.
    fn show(&self, state: &mut State, id: &AuditLogId) -> Result<(), Error> {
        if let Some(row) = self.load_row(id)? {
            state.rows.insert(id.clone(), row);
        }
        Ok(())
    }
}

#[async_trait]
impl MetadataStore for UnderFaults {
    async fn claim(&self, first: &Row) -> Result<Claim, Error> {
        let call = self.world.begin(Op::MetadataClaim, first.id.as_str()).await?;
        let (first, rival, real) = (first.clone(), call.has(Fault::Conflict), self.clone());
        call.write(move |state| {
            if rival {
                real.claim_row(&first)?;
            }
            let claim = real.claim_row(&first)?;
            real.show(state, &first.id)?;
            Ok(claim)
        })
        .await
    }

    async fn load(&self, id: &AuditLogId) -> Result<Option<Row>, Error> {
        let call = self.world.begin(Op::MetadataLoad, id.as_str()).await?;
        let row = self.load_row(id);
        call.end(row).await
    }

    async fn advance(&self, next: &Row) -> Result<Advance, Error> {
        let call = self.world.begin(Op::MetadataAdvance, next.id.as_str()).await?;
        let (next, mut rival, real) = (next.clone(), call.has(Fault::Conflict), self.clone());
        call.write(move |state| {
            if std::mem::take(&mut rival)
                && let Some(row) = real.load_row(&next.id)?
            {
                real.advance_row(&Row { revision: row.revision + 1, ..row })?;
            }
            let advanced = real.advance_row(&next)?;
            real.show(state, &next.id)?;
            Ok(advanced)
        })
        .await
    }

    async fn bind(&self, key: &IdempotencyKey, id: &AuditLogId) -> Result<AuditLogId, Error> {
        let call = self.world.begin(Op::MetadataBind, id.as_str()).await?;
        let (key, id, real) = (key.clone(), id.clone(), self.clone());
        call.write(move |_| {
            let (key, id) = (key.clone(), id.clone());
            real.real(move |store| Box::pin(async move { store.bind(&key, &id).await }))
        })
        .await
    }

    async fn bound(&self, key: &IdempotencyKey) -> Result<Option<AuditLogId>, Error> {
        let call = self.world.begin(Op::MetadataBound, "").await?;
        let key = key.clone();
        let named = self.real(move |store| Box::pin(async move { store.bound(&key).await }));
        call.end(named).await
    }

    async fn find(&self, query: &Query, after: Option<&Cursor>, limit: usize) -> Result<Found, Error> {
        let call = self.world.begin(Op::MetadataFind, "").await?;
        let (query, after) = (query.clone(), after.cloned());
        let found = self.real(move |store| Box::pin(async move { store.find(&query, after.as_ref(), limit).await }));
        call.end(found).await
    }
}
