"""Errors of the ways by which people are told of alerts.

A channel that does not work ends nothing: the alert waits for the next try, and is told by the other channels.
"""

from comporta.errors import Retryable, SettingsError


class ChannelFailed(Retryable):
    """A channel did not take an alert."""

    code = "CMP-ALERT-001"
    next_step = "Check the channel's address, user, password and network; then try it: `comporta alerts test`."


class AppriseMissing(SettingsError):
    """The settings name a channel that needs the package apprise, which is not installed."""

    code = "CMP-ALERT-002"
    next_step = "Install the extra: pip install 'comporta[notify]'."
