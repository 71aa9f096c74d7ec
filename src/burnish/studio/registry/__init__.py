"""The registry's functions: `burnish.registry.register("recipe.tune@3", name="support")`, `.promote("support@3")` …"""

from burnish.studio.registry.versions import listing, register, show

__all__ = ["listing", "register", "show"]
