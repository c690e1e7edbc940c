"""Every error and warning that llmreg raises on purpose.

Each is an `LLMRegError` or an `LLMRegWarning`, and the built-in kind that fits.
Worker processes send exceptions home by pickle, so each one is built from its
message alone and holds no client, request or response: those carry the key.
"""


class LLMRegError(Exception):
    """Base of every error raised by llmreg."""


class PriorError(LLMRegError, ValueError):
    """A prior cannot be used as given."""


class PriorMismatchError(PriorError):
    """The outputs, names or width of a prior do not fit what is asked of it."""


class PriorScoreError(PriorError):
    """A score is not a number from -10 to 10."""


class PriorCardError(PriorError):
    """A prior card is absent, is not JSON or lacks a field."""


class PriorCacheError(PriorError):
    """An entry of the cache is not there, or an export of it cannot be read."""


class ProviderError(LLMRegError, RuntimeError):
    """A provider could not deliver a prior."""


class MissingPriorError(ProviderError):
    """The prior is not in the cache, and the provider may not use the network."""


class MissingKeyError(ProviderError):
    """No credentials for the provider were found; nothing was sent."""


class MissingDependencyError(LLMRegError, ImportError):
    """A package that is needed for this alone is not installed."""


class ProviderDependencyError(ProviderError, MissingDependencyError):
    """The SDK, or the model, that the provider needs is not installed."""


class ProviderAuthenticationError(ProviderError):
    """The provider refused the account: key, permission or billing."""


class ProviderNotFoundError(ProviderError):
    """The server does not know the model, or has nothing at the address."""


class RequestTooLargeError(ProviderError):
    """A request, or the schema of its reply, is more than the model takes."""


class ProviderUnavailableError(ProviderError):
    """The provider stayed busy, failing or out of reach for the whole budget."""


class PriorLockedError(ProviderUnavailableError):
    """Another process asked for the same prior, and for longer than the budget."""


class ProviderResponseError(ProviderError):
    """The provider answered, and the answer cannot be used."""


class IncompleteReplyError(ProviderResponseError):
    """The reply has no score for some of the features."""


class TruncatedReplyError(ProviderResponseError):
    """The reply ended before it was complete."""


class ProviderRefusalError(ProviderResponseError):
    """The model declined to answer."""


class DataError(LLMRegError, ValueError):
    """The rows or the labels cannot be trained on."""


class EncodingError(LLMRegError, ValueError):
    """A table cannot be turned into numbers."""


class UnsupportedColumnError(EncodingError):
    """A column holds something that has no encoding, such as dates or free text."""


class FeatureNamesError(EncodingError):
    """Feature names are needed and absent, or they are ambiguous."""


class ModuleOutputError(LLMRegError, ValueError):
    """The output of a user's module does not fit the task."""


class CoefficientsError(LLMRegError, AttributeError):
    """The model has no weights that fit the columns of the table it was given."""


class NoPosteriorError(LLMRegError, ValueError):
    """The model was trained in a way that does not tell how uncertain it is."""


class DivergenceError(LLMRegError, ValueError):
    """The training ended in weights that are no numbers."""


class ExportError(LLMRegError, ValueError):
    """A fitted model has no counterpart in the format that it is to be turned into."""


class DeviceError(LLMRegError, RuntimeError):
    """The device asked for is not available."""


class LLMRegWarning(UserWarning):
    """Base of every warning issued by llmreg."""


class PriorMismatchWarning(LLMRegWarning):
    """The prior lacks features of the table, or scores features it does not have."""


class PriorUnitsWarning(LLMRegWarning):
    """Training rows lie where the prior does not expect them: in other units."""


class PriorDisabledWarning(LLMRegWarning):
    """The prior has no effect, because every score is zero or absent."""


class PriorCacheWarning(LLMRegWarning):
    """The cache cannot be written, so answers last only as long as the process."""


class PriorUnavailableWarning(LLMRegWarning):
    """The provider gave no prior, so the model was trained without one."""


class PriorDisagreementWarning(LLMRegWarning):
    """The estimates behind a prior disagree on the sign of some scores."""
