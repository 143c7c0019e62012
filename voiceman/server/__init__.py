"""`voiceman-server`: starts a tritonserver on the model repository and says when it is ready."""
