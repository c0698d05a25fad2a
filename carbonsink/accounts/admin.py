from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin
from unfold.forms import AdminPasswordChangeForm, UserChangeForm

from carbonsink.accounts import roles
from carbonsink.accounts.models import User

admin.site.unregister(Group)


# Roles that only a superuser gives, and whose users only a superuser changes: else one person could become two.
PROTECTED = [roles.FINANCE, roles.ADMINISTRATOR]


class UserForm(UserChangeForm):
    """Keeps apart the roles that check each other."""

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        given = {group.name for group in data.get("groups", [])}
        if len(given & {roles.OFFICER, roles.REVIEWER, roles.FINANCE}) > 1:
            raise ValidationError(_("Officer, reviewer and finance check each other: give one person one of them."))
        return data


@admin.register(User)
class UserAdmin(DjangoUserAdmin, ModelAdmin):
    """Administrators look after officers, reviewers and buyers; the others and themselves are a superuser's work."""

    form = UserForm
    change_password_form = AdminPasswordChangeForm
    list_display = ["name", "email", "area", "is_active"]
    list_filter = ["groups", "is_active"]
    search_fields = ["name", "email"]
    ordering = ["name"]
    fieldsets = [
        (None, {"fields": ["name", "email", "phone", "password"]}),
        (_("Role"), {"fields": ["groups", "area", "is_active", "is_staff"]}),
    ]
    add_fieldsets = [(None, {"fields": ["name", "email", "phone", "password1", "password2"]})]

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        users = super().get_queryset(request)
        if request.user.is_superuser:
            return users
        protected = Q(is_superuser=True) | Q(groups__name__in=PROTECTED) | Q(pk=request.user.pk)
        return users.exclude(pk__in=User.objects.filter(protected).values("pk"))

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> list[str]:
        return [] if request.user.is_superuser else ["is_staff"]

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "groups" and not request.user.is_superuser:
            kwargs["queryset"] = Group.objects.exclude(name__in=PROTECTED)
        return super().formfield_for_manytomany(db_field, request, **kwargs)
