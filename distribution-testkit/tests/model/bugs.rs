//! Mistakes that a publisher, a sweeper or a store could make. Each is one small change of the model,
//! and each must be caught: a checker that finds nothing is worth what it finds in these.

/// One seeded mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Bug {
    /// The store replaces a row whatever its revision is.
    CasIgnored,
    /// A create without an answer counts as failed: the next attempt goes to a new key.
    LostCreateTakenAsFailure,
    /// A claim without an answer counts as failed, and the caller is told that nothing will come.
    LostClaimTakenAsFailure,
    /// A write of the record without an answer counts as done.
    LostAdvanceTakenAsDone,
    /// The pin on record is the staged file's state after the copy, not that which was copied.
    SourceNotPinned,
    /// An object that was found counts as a copy of the staged file as it is now.
    FoundCountsAsCopied,
    /// The object is not read back.
    ProofSkipped,
    /// The outbox is emptied without being delivered.
    OutboxDropped,
    /// After a lost compare-and-swap, what was sent of the older record counts for all of the newer.
    DeliveredMarksMore,
    /// The link is given before the trail is delivered.
    LinkBeforeTrail,
    /// Every repeat gets a new link.
    ReplayGrantsAgain,
    /// A link is signed for its full length from now, not until the granted end.
    LinkBeyondGrant,
    /// Who held the lease when it looked overwrites what is at the key.
    LeaseTrustedForSafety,
    /// What was observed is recorded again after another has moved the record on.
    ObservationReapplied,
    /// A call amends whenever another has amended since. Production did, until this model found it.
    AmendedAgainAndAgain,
    /// A call works on what another has taken up from another staged file, and rejects it for its own.
    /// Production did, until this model found it.
    OthersFileBlamed,
    /// A call is refused for the lapsed QC report of another. Production did.
    OthersReportBlamed,
    /// What was observed of the work under one QC report is recorded of the work under another. Production
    /// did.
    ReportsConfused,
    /// A rejected publication stays rejected.
    RejectedNotReopened,
    /// A staged file that is of no use is the end, without a look at the key.
    RejectedWithoutLook,
    /// The approval's end is not kept, so the gate is not asked again before the record says Published.
    GateNotAskedAgain,
    /// The attempt after a bad object writes to the same key.
    RetryReusesKey,
    /// The publisher does not read the tombstone.
    TombstoneIgnored,
    /// The publisher reads the tombstone before it has put on record that it starts.
    TombstoneReadTooEarly,
    /// The sweeper takes the tombstone back where it keeps the file.
    TombstoneTakenBack,
    /// The sweeper does not read the publications again once it has written the tombstone.
    PublicationsReadFirst,
    /// The sweeper reads only the publication by which it came to the file.
    OnePublicationRead,
    /// The sweeper removes whatever is staged there by now.
    SweptWithoutPin,
    /// The sweeper does not prove the copies again.
    SweptWithoutProof,
    /// The sweeper does not wait for the end of the retention.
    RetentionIgnored,
}

impl Bug {
    pub(crate) const ALL: [Self; 30] = [
        Self::CasIgnored,
        Self::LostCreateTakenAsFailure,
        Self::LostClaimTakenAsFailure,
        Self::LostAdvanceTakenAsDone,
        Self::SourceNotPinned,
        Self::FoundCountsAsCopied,
        Self::ProofSkipped,
        Self::OutboxDropped,
        Self::DeliveredMarksMore,
        Self::LinkBeforeTrail,
        Self::ReplayGrantsAgain,
        Self::LinkBeyondGrant,
        Self::LeaseTrustedForSafety,
        Self::ObservationReapplied,
        Self::AmendedAgainAndAgain,
        Self::OthersFileBlamed,
        Self::OthersReportBlamed,
        Self::ReportsConfused,
        Self::RejectedNotReopened,
        Self::RejectedWithoutLook,
        Self::GateNotAskedAgain,
        Self::RetryReusesKey,
        Self::TombstoneIgnored,
        Self::TombstoneReadTooEarly,
        Self::TombstoneTakenBack,
        Self::PublicationsReadFirst,
        Self::OnePublicationRead,
        Self::SweptWithoutPin,
        Self::SweptWithoutProof,
        Self::RetentionIgnored,
    ];
}
