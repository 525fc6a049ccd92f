"""A sink that takes uploads in parts as S3, Azure and OSS do: it reads every byte of a part, and keeps none of them."""

from collections.abc import Iterator
from typing import Final

from lab import Lab
from sink import Sink, serving

_BEGUN: Final = "<InitiateMultipartUploadResult><UploadId>sunk</UploadId></InitiateMultipartUploadResult>"
_MADE: Final = (
    "<CompleteMultipartUploadResult><Location>sunk</Location><Bucket>bucket</Bucket><Key>key</Key>"
    "<ETag>&quot;sunk&quot;</ETag></CompleteMultipartUploadResult>"
)
_LISTED: Final = (
    "<ListPartsResult><UploadId>sunk</UploadId><NextPartNumberMarker>0</NextPartNumberMarker>"
    "<IsTruncated>false</IsTruncated></ListPartsResult>"
)

# nginx answers for itself at once, before it has read a body; what it asks another server for, it answers afterwards. So it
# asks itself. Of whatever storage, each answer says what the clients want to see of a success.
LOCATIONS: Final = f"""
        listen unix:{{home}}/inner.sock;
        set $what "$request_method:$args";
        if ($what ~ "^POST:(.*&)?uploads") {{{{ rewrite ^ /.read/begun? last; }}}}
        if ($what ~ "^POST:(.*&)?uploadId=") {{{{ rewrite ^ /.read/made? last; }}}}
        if ($what ~ "^GET:(.*&)?uploadId=") {{{{ rewrite ^ /.read/listed? last; }}}}
        if ($what ~ "^PUT:(.*&)?comp=block") {{{{ rewrite ^ /.read/block? last; }}}}
        if ($request_method = PUT) {{{{ rewrite ^ /.read/part? last; }}}}

        location /.read/ {{{{
            internal;
            proxy_method GET;
            proxy_pass_request_body off;
            proxy_pass_request_headers off;
            proxy_set_header Content-Length "";
            proxy_pass http://unix:{{home}}/inner.sock:/.say/;
        }}}}
        location = /.say/begun {{{{ default_type application/xml; return 200 '{_BEGUN}'; }}}}
        location = /.say/made {{{{ default_type application/xml; return 200 '{_MADE}'; }}}}
        location = /.say/listed {{{{ default_type application/xml; return 200 '{_LISTED}'; }}}}
        location = /.say/part {{{{ add_header ETag '"sunk"'; return 200 ''; }}}}
        location = /.say/block {{{{
            add_header ETag '"sunk"';
            add_header Last-Modified 'Mon, 02 Nov 2026 10:00:00 GMT';
            add_header x-ms-request-id sunk;
            add_header x-ms-request-server-encrypted true;
            return 201 '';
        }}}}
"""


def parts_sink(lab: Lab) -> Iterator[Sink]:
    """Yield the sink; for `Lab.shared`."""
    yield from serving(lab, "parts", LOCATIONS)
