"""Photos that come in parts over a bad line, and go on where they stopped."""

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from carbonsink.accounts.models import signed_in
from carbonsink.accounts.roles import OFFICER
from trees import registration, uploads
from trees.api import HasRole
from trees.api.serializers import PartOf, UploadIn, UploadOut


class Bytes(BaseParser):
    """The body as it is, as far as a part may be long; one byte more shows that it was longer."""

    media_type = "application/octet-stream"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        return stream.read(uploads.PART_MAX_BYTES + 1)


def _answer(arrived: uploads.Arrived) -> Response:
    return Response(UploadOut(arrived).data)


class Uploads(APIView):
    """Beginning an upload, or looking how far it is."""

    permission_classes = [HasRole]
    roles = [OFFICER]

    @extend_schema(request=UploadIn, responses=UploadOut)
    def post(self, request: Request) -> Response:
        sent = UploadIn(data=request.data)
        sent.is_valid(raise_exception=True)
        officer, data = signed_in(request), sent.validated_data
        tree = registration.tree_of(officer, data.pop("tree"))
        return _answer(uploads.begin_upload(tree, officer=officer, **data))


class UploadParts(APIView):
    """The next bytes of a photo."""

    permission_classes = [HasRole]
    roles = [OFFICER]
    parser_classes = [Bytes]

    @extend_schema(parameters=[PartOf], request={"application/octet-stream": OpenApiTypes.BINARY}, responses=UploadOut)
    def put(self, request: Request, sha256: str) -> Response:
        sent = PartOf(data=request.query_params)
        sent.is_valid(raise_exception=True)
        officer = signed_in(request)
        tree = registration.tree_of(officer, sent.validated_data["tree"])
        offset, content = sent.validated_data["offset"], request.data if isinstance(request.data, bytes) else b""
        return _answer(uploads.append_part(tree, officer=officer, sha256=sha256, offset=offset, content=content))
