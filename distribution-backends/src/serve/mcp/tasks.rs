//! Publishes that take long, as tasks (MCP extension `io.modelcontextprotocol/tasks`, SEP-2663).

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use rmcp::model::{CallToolResponse, CallToolResult, CreateTaskResult};
use rmcp::service::{RequestContext, RoleServer};
use rmcp::task_manager::{TaskContext, TaskExit, TaskManager, TaskOptions};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::progress::News;

pub(super) const TASKS_MAX: usize = 1_000;
pub(super) const TASK_TTL: Duration = Duration::from_secs(6 * 60 * 60);

/// How long a client waits for the result itself before it gets a task.
const PATIENCE: Duration = Duration::from_secs(1);

/// A publish that has begun.
pub(super) struct Begun {
    pub(super) work: BoxFuture<'static, CallToolResult>,
    pub(super) news: News,
}

impl Begun {
    /// Its result. Until then the client is told of its progress. May be dropped and asked for again.
    pub(super) async fn result(&mut self, context: &RequestContext<RoleServer>) -> CallToolResult {
        tokio::select! {
            result = &mut self.work => result,
            never = self.news.tell_client(context) => match never {},
        }
    }
}

/// The tasks that run, and those that have ended and whose results may still be asked for.
#[derive(Clone)]
pub(super) struct Tasks {
    pub(super) manager: TaskManager,
    /// One for each of them.
    places: Arc<Semaphore>,
    ttl: Duration,
}

impl Tasks {
    pub(super) fn new(tasks_max: usize, ttl: Duration) -> Self {
        let places = Arc::new(Semaphore::new(tasks_max.min(Semaphore::MAX_PERMITS)));
        Self { manager: TaskManager::new(), places, ttl }
    }

    /// The result, if it is there soon or no place is left, else a task.
    pub(super) async fn carry_out(&self, mut begun: Begun, context: &RequestContext<RoleServer>) -> CallToolResponse {
        if let Ok(result) = tokio::time::timeout(PATIENCE, begun.result(context)).await {
            return CallToolResponse::Complete(result);
        }
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            return CallToolResponse::Complete(begun.result(context).await);
        };
        let options = TaskOptions::new().with_ttl_ms(u64::try_from(self.ttl.as_millis()).unwrap_or(u64::MAX));
        let tasks = self.clone();
        let task = self.manager.spawn(options, |context| Box::pin(tasks.go_on(begun, place, context)));
        CallToolResponse::Task(CreateTaskResult::new(task))
    }

    async fn go_on(
        self,
        Begun { work, mut news }: Begun,
        place: OwnedSemaphorePermit,
        context: TaskContext,
    ) -> Result<CallToolResult, TaskExit> {
        let ended = tokio::select! {
            result = work => Ok(result),
            () = context.cancelled() => Err(TaskExit::Cancelled),
            never = news.tell(|text| context.set_status_message(text)) => match never {},
        };
        tokio::spawn(self.forget(place));
        ended
    }

    /// Drops the result when its time is over, even if nobody asks for a task any more: the manager looks
    /// only when it is asked, and a result holds a link.
    async fn forget(self, place: OwnedSemaphorePermit) {
        // Its time begins after this one.
        const MARGIN: Duration = Duration::from_secs(1);
        tokio::time::sleep(self.ttl.saturating_add(MARGIN)).await;
        self.manager.running_task_count();
        drop(place);
    }
}
