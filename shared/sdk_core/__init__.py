"""The transport core of `membership_sdk` and `cloudcockpit_sdk`: it knows HTTP and neither API.

Users import from the two SDKs, and from `sdk_core.integrations` what ties them to another library; the rest of this
package is for those who build on the core or read how it works.
Start with `sdk_core.client`.
"""
