"""Defines the tables, one module for each subject. Never decides what happens to their rows."""

from mailer.models.bounce import BounceEvent, EvidenceKind, MailboxFetch
from mailer.models.consent import ConsentEvent, ConsentKind, Wording
from mailer.models.delivery import (
    BLOCK_SIZE,
    GIVEN_BACK,
    HAD,
    PENDING,
    Delivery,
    DeliveryStatus,
    Notice,
    NoticeKind,
)
from mailer.models.digest import (
    Candidate,
    Digest,
    DigestCount,
    DigestStatus,
    Edition,
    EditionArticle,
    FrozenContent,
)
from mailer.models.edits import ChosenArticle, DroppedArticle, Edits
from mailer.models.feed import Article, ArticleCategory, Feed, FeedGuid, HeldItem, ImageSource
from mailer.models.installation import Installation, Tally, TokenBucket, Worker, WorkerRole
from mailer.models.journal import JournalEntry, JournalKind
from mailer.models.newsletter import (
    Newsletter,
    NewsletterArticle,
    NewsletterFeed,
    NewsletterFeedCategory,
)
from mailer.models.review import Review, ReviewAct
from mailer.models.schedule import Holds, Schedule, ScheduleKind
from mailer.models.subscriber import (
    TOMBSTONE,
    ClientRequest,
    Signup,
    SignupChoice,
    Subscriber,
    Subscription,
)
from mailer.models.suppression import Suppression, SuppressionReason

__all__ = [
    "BLOCK_SIZE",
    "GIVEN_BACK",
    "HAD",
    "PENDING",
    "TOMBSTONE",
    "Article",
    "ArticleCategory",
    "BounceEvent",
    "Candidate",
    "ChosenArticle",
    "ClientRequest",
    "ConsentEvent",
    "ConsentKind",
    "Delivery",
    "DeliveryStatus",
    "Digest",
    "DigestCount",
    "DigestStatus",
    "DroppedArticle",
    "Edition",
    "EditionArticle",
    "Edits",
    "EvidenceKind",
    "Feed",
    "FeedGuid",
    "FrozenContent",
    "HeldItem",
    "Holds",
    "ImageSource",
    "Installation",
    "JournalEntry",
    "JournalKind",
    "MailboxFetch",
    "Newsletter",
    "NewsletterArticle",
    "NewsletterFeed",
    "NewsletterFeedCategory",
    "Notice",
    "NoticeKind",
    "Review",
    "ReviewAct",
    "Schedule",
    "ScheduleKind",
    "Signup",
    "SignupChoice",
    "Subscriber",
    "Subscription",
    "Suppression",
    "SuppressionReason",
    "Tally",
    "TokenBucket",
    "Wording",
    "Worker",
    "WorkerRole",
]
