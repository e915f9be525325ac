# SPDX-License-Identifier: Apache-2.0
"""Options of 16.2 by (type, level, whether a change needs no restart): texts and addresses."""

from typing import Final

KNOWN: Final = {
    ("addr", "advanced", False): """
public_bind_addr
""",
    ("addr", "basic", False): """
cluster_addr public_addr
""",
    ("addrvec", "basic", False): """
public_addrv
""",
    ("str", "advanced", False): """
admin_socket admin_socket_mode auth_client_required auth_cluster_required auth_service_required
auth_supported bdev_type bluestore_allocator bluestore_rocksdb_options
bluestore_rocksdb_options_annex cephadm_path chdir client_acl_type client_fs client_metadata
client_mountpoint client_snapdir cluster_network cluster_network_interface crash_dir crush_location
crush_location_hook erasure_code_dir fio_dir gss_ktab_client_file gss_target_name heartbeat_file
immutable_object_cache_path immutable_object_cache_sock key keyfile keyring kstore_backend
kstore_rocksdb_options leveldb_log log_stderr_prefix mds_data mgr/influx/batch_size
mgr/influx/database mgr/influx/hostname mgr/influx/interval mgr/influx/password mgr/influx/port
mgr/influx/ssl mgr/influx/threads mgr/influx/username mgr/influx/verify_ssl
mgr/prometheus/rbd_stats_pools mgr/prometheus/server_addr mgr/prometheus/stale_cache_strategy
mgr/rbd_support/mirror_snapshot_schedule mgr/rbd_support/trash_purge_schedule mgr/restful/key_file
mgr/restful/server_addr mgr/restful/server_port mgr/selftest/roption1 mgr/selftest/roption2
mgr/selftest/rwoption1 mgr/selftest/rwoption4 mgr/selftest/testkey mgr/selftest/testlkey
mgr/selftest/testnewline mgr/telegraf/address mgr/telemetry/contact mgr/telemetry/description
mgr/telemetry/device_url mgr/telemetry/organization mgr/telemetry/proxy mgr/telemetry/url
mgr/zabbix/discovery_interval mgr/zabbix/identifier mgr/zabbix/zabbix_host mgr/zabbix/zabbix_sender
mgr_data mgr_disabled_modules mgr_module_path mon_crush_min_required_version mon_data
mon_dns_srv_name mon_host_override mon_initial_members mon_keyvaluedb
mon_osd_initial_require_min_compat_client mon_rocksdb_options monmap ms_async_rdma_device_name
ms_async_rdma_local_gid ms_async_rdma_type ms_cluster_type ms_dpdk_coremask
ms_dpdk_gateway_ipv4_addr ms_dpdk_host_ipv4_addr ms_dpdk_hugepages ms_dpdk_memory_channel
ms_dpdk_netmask_ipv4_addr ms_dpdk_pmd ms_public_type ms_type openssl_engine_opts
osd_class_default_list osd_class_dir osd_class_load_list osd_data osd_erasure_code_plugins
osd_hit_set_namespace osd_journal osd_objectstore osd_op_queue osd_op_queue_cut_off
osd_rollback_to_cluster_snap pid_file plugin_crypto_accelerator plugin_dir public_network
public_network_interface rbd_cache_policy rbd_default_data_pool rbd_default_map_options
rbd_default_pool rbd_default_snapshot_quiesce_mode rbd_io_scheduler rbd_journal_pool
rbd_mirror_image_policy_type rbd_persistent_cache_mode rbd_persistent_cache_path rbd_plugins
restapi_base_url restapi_log_level rgw_admin_entry rgw_barbican_url rgw_cross_domain_policy
rgw_crypt_kmip_addr rgw_crypt_kmip_ca_path rgw_crypt_kmip_client_cert rgw_crypt_kmip_client_key
rgw_crypt_kmip_kms_key_template rgw_crypt_kmip_password rgw_crypt_kmip_s3_key_template
rgw_crypt_kmip_username rgw_crypt_s3_kms_backend rgw_crypt_vault_addr rgw_crypt_vault_auth
rgw_crypt_vault_namespace rgw_crypt_vault_prefix rgw_crypt_vault_secret_engine
rgw_crypt_vault_ssl_cacert rgw_crypt_vault_ssl_clientcert rgw_crypt_vault_ssl_clientkey
rgw_crypt_vault_token_file rgw_data rgw_default_data_log_backing rgw_default_realm_info_oid
rgw_default_region_info_oid rgw_default_zone_info_oid rgw_default_zonegroup_info_oid
rgw_defer_to_bucket_acls rgw_dns_name rgw_dns_s3website_name rgw_enable_apis
rgw_extended_http_attrs rgw_frontend_defaults rgw_host rgw_keystone_accepted_admin_roles
rgw_keystone_accepted_roles rgw_keystone_admin_domain rgw_keystone_admin_password
rgw_keystone_admin_password_path rgw_keystone_admin_project rgw_keystone_admin_tenant
rgw_keystone_admin_token rgw_keystone_admin_token_path rgw_keystone_admin_user
rgw_keystone_barbican_domain rgw_keystone_barbican_password rgw_keystone_barbican_project
rgw_keystone_barbican_tenant rgw_keystone_barbican_user rgw_keystone_implicit_tenants
rgw_ldap_binddn rgw_ldap_dnattr rgw_ldap_searchdn rgw_ldap_searchfilter rgw_ldap_secret
rgw_ldap_uri rgw_lifecycle_work_time rgw_log_object_name rgw_luarocks_location rgw_opa_token
rgw_opa_url rgw_ops_log_file_path rgw_ops_log_socket_path rgw_period_root_pool rgw_realm
rgw_realm_root_pool rgw_region rgw_region_root_pool rgw_remote_addr_param rgw_s3_auth_order
rgw_scheduler_type rgw_service_provider_name rgw_socket_path rgw_sts_client_id
rgw_sts_client_secret rgw_sts_entry rgw_sts_key rgw_sts_token_introspection_url
rgw_swift_auth_entry rgw_swift_auth_url rgw_swift_custom_header rgw_swift_tenant_name rgw_swift_url
rgw_swift_url_prefix rgw_torrent_comment rgw_torrent_createby rgw_torrent_encoding
rgw_torrent_origin rgw_torrent_tracker rgw_zone rgw_zone_root_pool rgw_zonegroup
rgw_zonegroup_root_pool rocksdb_cache_type run_dir setgroup setuser setuser_match_path
""",
    ("str", "advanced", True): """
bluestore_compression_algorithm bluestore_compression_mode bluestore_csum_type clog_to_graylog
clog_to_graylog_host clog_to_graylog_port clog_to_monitors clog_to_syslog clog_to_syslog_facility
clog_to_syslog_level enable_experimental_unrecoverable_data_corrupting_features
mgr/alerts/log_level mgr/alerts/log_to_cluster_level mgr/alerts/smtp_destination
mgr/alerts/smtp_from_name mgr/alerts/smtp_host mgr/alerts/smtp_password mgr/alerts/smtp_sender
mgr/alerts/smtp_user mgr/balancer/begin_time mgr/balancer/crush_compat_metrics
mgr/balancer/end_time mgr/balancer/log_level mgr/balancer/log_to_cluster_level mgr/balancer/mode
mgr/balancer/pool_ids mgr/crash/log_level mgr/crash/log_to_cluster_level mgr/devicehealth/log_level
mgr/devicehealth/log_to_cluster_level mgr/devicehealth/pool_name mgr/influx/log_level
mgr/influx/log_to_cluster_level mgr/insights/log_level mgr/insights/log_to_cluster_level
mgr/iostat/log_level mgr/iostat/log_to_cluster_level mgr/localpool/failure_domain
mgr/localpool/log_level mgr/localpool/log_to_cluster_level mgr/localpool/prefix
mgr/localpool/subtree mgr/mirroring/log_level mgr/mirroring/log_to_cluster_level mgr/nfs/log_level
mgr/nfs/log_to_cluster_level mgr/orchestrator/log_level mgr/orchestrator/log_to_cluster_level
mgr/orchestrator/orchestrator mgr/osd_support/log_level mgr/osd_support/log_to_cluster_level
mgr/pg_autoscaler/log_level mgr/pg_autoscaler/log_to_cluster_level mgr/progress/log_level
mgr/progress/log_to_cluster_level mgr/prometheus/log_level mgr/prometheus/log_to_cluster_level
mgr/prometheus/standby_behaviour mgr/rbd_support/log_level mgr/rbd_support/log_to_cluster_level
mgr/restful/log_level mgr/restful/log_to_cluster_level mgr/selftest/log_level
mgr/selftest/log_to_cluster_level mgr/snap_schedule/log_level
mgr/snap_schedule/log_to_cluster_level mgr/stats/log_level mgr/stats/log_to_cluster_level
mgr/status/log_level mgr/status/log_to_cluster_level mgr/telegraf/log_level
mgr/telegraf/log_to_cluster_level mgr/telemetry/log_level mgr/telemetry/log_to_cluster_level
mgr/test_orchestrator/log_level mgr/test_orchestrator/log_to_cluster_level mgr/volumes/log_level
mgr/volumes/log_to_cluster_level mgr/zabbix/log_level mgr/zabbix/log_to_cluster_level
mon_cluster_log_file mon_cluster_log_file_level mon_cluster_log_to_graylog
mon_cluster_log_to_graylog_host mon_cluster_log_to_graylog_port mon_cluster_log_to_syslog
mon_cluster_log_to_syslog_facility mon_cluster_log_to_syslog_level mon_osd_down_out_subtree_limit
mon_osd_reporter_subtree_level osd_mclock_profile osd_pool_default_erasure_code_profile
osd_pool_default_pg_autoscale_mode osd_pool_default_type osd_tier_default_cache_hit_set_type
osd_tier_default_cache_mode rbd_default_clone_format rbd_default_features
""",
    ("str", "basic", False): """
container_image host log_file log_graylog_host mgr_initial_modules mon_host ms_client_mode
ms_cluster_mode ms_mon_client_mode ms_mon_cluster_mode ms_mon_service_mode ms_service_mode
rgw_frontends rgw_keystone_url rgw_log_http_headers rgw_mime_types_file rgw_port
""",
    ("str", "basic", True): """
device_failure_prediction_mode mds_join_fs rbd_compression_hint rbd_read_from_replica_policy
""",
    ("str", "dev", False): """
bluefs_allocator bluestore_block_db_path bluestore_block_path bluestore_block_wal_path
bluestore_cache_type bluestore_debug_enforce_settings bluestore_kvbackend bluestore_rocksdb_cfs
bluestore_spdk_coremask bluestore_volume_selection_policy client_mds_namespace client_trace
filestore_dump_file filestore_omap_backend filestore_omap_backend_path filestore_rocksdb_options
mon_debug_dump_location rgw_crypt_default_encryption_key rgw_crypt_s3_kms_encryption_keys
rgw_data_log_obj_prefix rgw_healthcheck_disabling_path rgw_period_latest_epoch_info_oid
rgw_request_uri rgw_script_uri rocksdb_index_type
""",
    ("str", "dev", True): """
ms_inject_delay_type
""",
    ("uuid", "advanced", False): """
osd_uuid
""",
    ("uuid", "basic", False): """
fsid
""",
}
