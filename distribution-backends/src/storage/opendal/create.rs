//! Creating an object: in one conditional request, or in parts with one conditional commit.

use distribution_core::{Content, ContentHeaders, CreateOutcome, Digest, Error, Meter, ObjectKey, Unfit};
use opendal::options::WriteOptions;
use opendal::{Buffer, ErrorKind as Fault, Writer};

use super::fault::failed;
use super::plan::Plan;
use super::{OpendalStorage, runtime};
use crate::storage::content::Parts;

impl OpendalStorage {
    pub(super) async fn create_object(&self, key: &ObjectKey, content: Content) -> Result<CreateOutcome, Error> {
        let Content { size, expected: checksum, headers, body, meter } = content;
        let plan = Plan::new(size, &self.can)?;
        // Rather than send it all and be told at the end.
        if !plan.is_single && self.look(key).await?.is_some() {
            return Ok(CreateOutcome::AlreadyExists);
        }
        let parts = Parts::new(body, Digest { checksum, size }, plan.part).await?;
        let writer = self.writes.writer_options(key.as_str(), self.options(headers, &plan)).await;
        let writer = writer.map_err(|error| failed("store", key, &error))?;
        let mut upload = Upload { writer: Some(writer), key: key.clone() };
        let Err(stop) = upload.run(parts, &meter).await else {
            return Ok(CreateOutcome::Created { proof: None });
        };
        upload.abort().await;
        match stop {
            Stop::Unfit(unfit) => Ok(CreateOutcome::Unfit(unfit)),
            Stop::Failed(error) => Err(error),
            Stop::Refused(error) => self.after_refusal(key, &error).await,
        }
    }

    /// What an error of the service means. Where it is not sure, the object may be there or come yet.
    async fn after_refusal(&self, key: &ObjectKey, error: &opendal::Error) -> Result<CreateOutcome, Error> {
        let is_there = match error.kind() {
            Fault::ConditionNotMatch | Fault::AlreadyExists => true,
            // Another create was or is at work; only a look tells what came of it.
            Fault::Conflict => self.look(key).await?.is_some(),
            Fault::Unexpected if !error.is_temporary() => self.look(key).await?.is_some(),
            _ => false,
        };
        if is_there { Ok(CreateOutcome::AlreadyExists) } else { Err(failed("store", key, error)) }
    }

    fn options(&self, headers: ContentHeaders, plan: &Plan) -> WriteOptions {
        let can = &self.can;
        // What Azure calls metadata are C# identifiers.
        let separator = if self.scheme.starts_with("az") { "_" } else { "-" };
        let metadata = headers.user_metadata.into_iter().map(|(name, value)| (name.replace('-', separator), value));
        WriteOptions {
            if_not_exists: true,
            content_type: can.write_with_content_type.then_some(headers.content_type),
            content_disposition: can.write_with_content_disposition.then_some(headers.content_disposition),
            cache_control: can.write_with_cache_control.then_some(headers.cache_control),
            user_metadata: can.write_with_user_metadata.then(|| metadata.collect()),
            concurrent: plan.concurrent,
            ..WriteOptions::default()
        }
    }
}

/// Why an upload is given up.
enum Stop {
    /// By what the content is.
    Unfit(Unfit),
    /// By the source or this machine.
    Failed(Error),
    /// By the service.
    Refused(opendal::Error),
}

/// An upload that is aborted unless it was committed, also if the call is dropped.
struct Upload {
    writer: Option<Writer>,
    key: ObjectKey,
}

impl Upload {
    /// Sends all parts, and commits them if they are what is wanted. Nothing is to be seen before that.
    async fn run(&mut self, mut parts: Parts, meter: &Meter) -> Result<(), Stop> {
        let Some(writer) = &mut self.writer else {
            return Err(Stop::Failed(Error::unavailable("the upload is over: repeat")));
        };
        while let Some(part) = parts.next().await.map_err(Stop::Failed)? {
            let len = part.len() as u64;
            writer.write(Buffer::from(part)).await.map_err(Stop::Refused)?;
            meter.add(len);
        }
        if let Some(unfit) = parts.verdict().await.map_err(Stop::Failed)? {
            return Err(Stop::Unfit(unfit));
        }
        writer.close().await.map_err(Stop::Refused)?;
        self.writer = None;
        Ok(())
    }

    async fn abort(mut self) {
        if let Some(writer) = self.writer.take() {
            abort(writer, &self.key).await;
        }
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if let (Some(writer), Ok(runtime)) = (self.writer.take(), runtime()) {
            let key = self.key.clone();
            runtime.spawn(async move { abort(writer, &key).await });
        }
    }
}

async fn abort(mut writer: Writer, key: &ObjectKey) {
    if let Err(error) = writer.abort().await {
        let error = failed("abort an upload to", key, &error);
        tracing::warn!(%error, "parts of an upload are left: the service's own rules must remove them");
    }
}
