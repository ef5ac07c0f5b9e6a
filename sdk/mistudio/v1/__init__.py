"""The contract itself: every message and stub of the package `mistudio.v1`, flat.

Everything beside this file is generated from `protos/mistudio/v1` by `make proto` and never edited.
"""

from mistudio.v1.artifact_pb2 import *
from mistudio.v1.catalog_service_pb2 import *
from mistudio.v1.catalog_service_pb2_grpc import *
from mistudio.v1.dataset_service_pb2 import *
from mistudio.v1.dataset_service_pb2_grpc import *
from mistudio.v1.extraction_spec_pb2 import *
from mistudio.v1.feature_pb2 import *
from mistudio.v1.feature_service_pb2 import *
from mistudio.v1.feature_service_pb2_grpc import *
from mistudio.v1.ingest_spec_pb2 import *
from mistudio.v1.job_pb2 import *
from mistudio.v1.job_service_pb2 import *
from mistudio.v1.job_service_pb2_grpc import *
from mistudio.v1.mesh_service_pb2 import *
from mistudio.v1.mesh_service_pb2_grpc import *
from mistudio.v1.queue_service_pb2 import *
from mistudio.v1.queue_service_pb2_grpc import *
from mistudio.v1.schedule_service_pb2 import *
from mistudio.v1.schedule_service_pb2_grpc import *
from mistudio.v1.training_service_pb2 import *
from mistudio.v1.training_service_pb2_grpc import *
from mistudio.v1.training_spec_pb2 import *
from mistudio.v1.upkeep_spec_pb2 import *
from mistudio.v1.worker_pb2 import *
from mistudio.v1.worker_service_pb2 import *
from mistudio.v1.worker_service_pb2_grpc import *
from mistudio.v1.worker_session_service_pb2 import *
from mistudio.v1.worker_session_service_pb2_grpc import *
